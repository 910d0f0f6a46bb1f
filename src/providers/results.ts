import { AppError, toAppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { ReadResult } from '../core/read-result.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { FindQuery, Settled } from './provider.ts';

/** Returns the promise's value. For an AppError, returns the fallback. Other errors are rethrown. */
export async function orElse<T>(promise: Promise<T>, fallback: (error: AppError) => T): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof AppError) return fallback(error);
    throw error;
  }
}

/** Converts an error to the result of its key, so that the reads of other keys do not fail. */
export function settleRead(store: string, key: string, read: Promise<ReadResult>): Promise<ReadResult> {
  return orElse(read, (error) => failedRead(store, key, error));
}

export function failedRead(store: string, key: string, error: AppError): ReadResult {
  return { kind: 'failed', error: error.withSubject(`store ${store}, key ${key}`) };
}

/** Adds the name of the search to its errors. A search fails as a whole. */
export function nameSearchErrors<T>(store: string, { path }: FindQuery, search: Promise<T>): Promise<T> {
  return orElse(search, (error) => {
    throw error.withSubject(`store ${store}, search below "${path}"`);
  });
}

/** Returns the promise's value or its AppError. Other errors are rethrown. */
export async function settle<T>(
  promise: Promise<T>,
): Promise<{ readonly value: T } | { readonly error: AppError }> {
  return orElse<{ readonly value: T } | { readonly error: AppError }>(
    promise.then((value) => ({ value })),
    (error) => ({ error }),
  );
}

/** Returns the error that a request has thrown. For requests that report all failures as AppErrors. */
export function thrownError(ended: Settled<unknown>): AppError | undefined {
  return 'error' in ended ? toAppError(ended.error) : undefined;
}

/** Returns the creation time of a version as a member of `ReadResult`. Empty if the store reports no valid time. */
export function createdAt(date: Date | undefined): { createdAt?: number } {
  const at = validDate(date)?.getTime();
  return at === undefined ? {} : { createdAt: at };
}

/** SDKs may return an invalid date, regardless of their types. */
export function validDate(date: Date | undefined): Date | undefined {
  return date instanceof Date && !Number.isNaN(date.getTime()) ? date : undefined;
}

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

/** A Secret holds only 1 MiB. A search that finds more keys than this is a mistake, and would overload the store. */
const MAX_KEYS = 10_000;

/** @throws AppError TOO_LARGE if a search has found too many keys. */
export function checkKeyCount(keys: number): void {
  if (keys > MAX_KEYS) throw tooManyResults(`more than ${MAX_KEYS} keys`);
}

/** @param what The excess, such as `more than 10000 folders`. */
export function tooManyResults(what: string): AppError {
  return new AppError('TOO_LARGE', { detail: `the search finds ${what}` });
}
