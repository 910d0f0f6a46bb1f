import { type AppError, toAppError } from '../core/errors.ts';

export type Answer<T> = { readonly value: T } | { readonly error: AppError };

/** What the cluster may refuse is an answer; what the audit may refuse is not. */
export async function ask<T>(work: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await work() };
  } catch (thrown) {
    return { error: toAppError(thrown) };
  }
}
