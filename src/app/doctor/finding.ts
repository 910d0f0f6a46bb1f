import type { AppError } from '../../core/errors.ts';

/** The result of one check. Without an error, the check passed. */
export interface Finding {
  readonly name: string;
  readonly error?: AppError;
}
