import { type AppError, toAppError } from '../core/errors.ts';

export type Result<T> = { readonly value: T } | { readonly error: AppError };

/** Returns expected errors as values. An unavailable audit is thrown. */
export async function toResult<T>(work: () => Promise<T>): Promise<Result<T>> {
  try {
    return { value: await work() };
  } catch (thrown) {
    return { error: toAppError(thrown) };
  }
}
