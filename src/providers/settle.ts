import { AppError, toAppError } from '../core/errors.ts';
import type { Ended, FindQuery, ReadResult } from './provider.ts';

/** What the promise gives, or what is made of an error of ours; any other error goes on. */
export async function orElse<T>(promise: Promise<T>, instead: (error: AppError) => T): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof AppError) return instead(error);
    throw error;
  }
}

/** One key's error is its own result, so that it fails no other key's. */
export function settleRead(store: string, key: string, read: Promise<ReadResult>): Promise<ReadResult> {
  return orElse(read, (error) => failedRead(store, key, error));
}

export function failedRead(store: string, key: string, error: AppError): ReadResult {
  return { kind: 'failed', error: error.concerning(`store ${store}, key ${key}`) };
}

/** A search fails whole; its error says which one it was. */
export function nameSearch<T>(store: string, { path }: FindQuery, search: Promise<T>): Promise<T> {
  return orElse(search, (error) => {
    throw error.concerning(`store ${store}, search below "${path}"`);
  });
}

/** The value or the error of ours; any other error goes on. */
export async function settle<T>(
  promise: Promise<T>,
): Promise<{ readonly value: T } | { readonly error: AppError }> {
  return orElse<{ readonly value: T } | { readonly error: AppError }>(
    promise.then((value) => ({ value })),
    (error) => ({ error }),
  );
}

/** The end of a request that throws nothing but errors of ours. */
export function thrownError(ended: Ended<unknown>): AppError | undefined {
  return 'error' in ended ? toAppError(ended.error) : undefined;
}
