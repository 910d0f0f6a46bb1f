import { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { SecretValue } from '../core/secret-value.ts';

/**
 * The version of a value where a store keeps the current one alone: its fingerprint. One that is named is then a
 * condition, and may be of an older key. VERSION_GONE where the value is another one.
 */
export function onlyVersion(
  value: SecretValue,
  named: string | undefined,
  fingerprints: Pick<Fingerprinter, 'value' | 'isOf'>,
): string {
  if (named === undefined) return fingerprints.value(value);
  if (fingerprints.isOf(named, value) !== true) throw new AppError('VERSION_GONE');
  return named;
}
