import { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { SecretValue } from '../core/secret-value.ts';

/**
 * Returns the version for stores that keep only the current value: the fingerprint of the value. A requested version is
 * a fingerprint that the value must match; it may have been made with an older key. @throws AppError VERSION_GONE if
 * the value does not match.
 */
export function fingerprintVersion(
  value: SecretValue,
  requested: string | undefined,
  fingerprints: Pick<Fingerprinter, 'value' | 'matches'>,
): string {
  if (requested === undefined) return fingerprints.value(value);
  if (fingerprints.matches(requested, value) !== true) throw new AppError('VERSION_GONE');
  return requested;
}
