import { AppError, toAppError } from '../core/errors.ts';
import type { ReadResult } from '../core/read-result.ts';
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
