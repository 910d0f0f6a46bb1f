import { type AppError, toAppError } from '../core/errors.ts';

export type Result<T> = { readonly value: T } | { readonly error: AppError };

/** Runs work and returns any error as a value. Unknown errors become INTERNAL. */
export async function toResult<T>(work: () => Promise<T>): Promise<Result<T>> {
  try {
    return { value: await work() };
  } catch (thrown) {
    return { error: toAppError(thrown) };
  }
}
