import type { AppError } from '../../core/errors.ts';

/** One question; the answer is the error, or that there is none. */
export interface Finding {
  readonly name: string;
  readonly error?: AppError;
}
