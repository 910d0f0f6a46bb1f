import { AppError, toAppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { ReadResult } from '../core/read-result.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { FindQuery, Settled } from './provider.ts';

/**
 * Returns the value of the promise. If the promise rejects with an AppError, returns the fallback. Rethrows any other
 * error.
 */
export async function orElse<T>(promise: Promise<T>, fallback: (error: AppError) => T): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof AppError) return fallback(error);
    throw error;
  }
}

/** Turns the error of one key into the result of this key, so that the other keys can still be read. */
export function settleRead(store: string, key: string, read: Promise<ReadResult>): Promise<ReadResult> {
  return orElse(read, (error) => failedRead(store, key, error));
}

export function failedRead(store: string, key: string, error: AppError): ReadResult {
  return { kind: 'failed', error: error.withSubject(`store ${store}, key ${key}`) };
}

/** Adds the path of the search to its errors. */
export function nameSearchErrors<T>(store: string, { path }: FindQuery, search: Promise<T>): Promise<T> {
  return orElse(search, (error) => {
    throw error.withSubject(`store ${store}, search below "${path}"`);
  });
}

/** Returns the value of the promise, or the AppError with which it rejects. Rethrows any other error. */
export async function settle<T>(
  promise: Promise<T>,
): Promise<{ readonly value: T } | { readonly error: AppError }> {
  return orElse<{ readonly value: T } | { readonly error: AppError }>(
    promise.then((value) => ({ value })),
    (error) => ({ error }),
  );
}

/** Returns the error that a request has thrown. Fits requests that report every failure as an AppError. */
export function thrownError(ended: Settled<unknown>): AppError | undefined {
  return 'error' in ended ? toAppError(ended.error) : undefined;
}

/**
 * Returns the creation time of a version as a member of `ReadResult`. Returns an empty object if the store reports no
 * valid time.
 */
export function createdAt(date: Date | undefined): { createdAt?: number } {
  const at = validDate(date)?.getTime();
  return at === undefined ? {} : { createdAt: at };
}

/** Returns the time of expiry as a member of `ReadResult`, from a store that always says whether a value expires. */
export function expiresAt(date: Date | undefined): { expiresAt: number | null } {
  return { expiresAt: validDate(date)?.getTime() ?? null };
}

/** A date, or a date and a time with a time zone. Without a time zone, the time would depend on the machine. */
const EXPIRY = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))?$/;

/** Does the same for a store in which people write the time into a tag. Any other text counts as no expiry. */
export function expiresAtText(text: string | undefined): { expiresAt: number | null } {
  return expiresAt(text === undefined || !EXPIRY.test(text) ? undefined : new Date(text));
}

/** Returns undefined for an invalid date. An SDK may return one, although its types promise a valid date. */
export function validDate(date: Date | undefined): Date | undefined {
  return date instanceof Date && !Number.isNaN(date.getTime()) ? date : undefined;
}

/**
 * Returns the fingerprint of a value as its version, for stores that keep only the current value.
 * @param requested The fingerprint that the value must match, if any. It may have been made with an older key.
 * @throws AppError VERSION_GONE if the value does not match.
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

/**
 * The maximum number of keys that a search may find. A Secret holds only 1 MiB, so a search that finds more keys is a
 * mistake. Reading them all would overload the store.
 */
const MAX_KEYS = 10_000;

/** @throws AppError TOO_LARGE if a search has found too many keys. */
export function checkKeyCount(keys: number): void {
  if (keys > MAX_KEYS) throw tooManyResults(`more than ${MAX_KEYS} keys`);
}

/** @param what A description of the results that are too many, such as `more than 10000 folders`. */
export function tooManyResults(what: string): AppError {
  return new AppError('TOO_LARGE', { detail: `the search finds ${what}` });
}
