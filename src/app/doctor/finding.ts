import type { AppError } from '../../core/errors.ts';

/** The result of one check. The check passed if there is no error. */
export interface Finding {
  readonly name: string;
  readonly error?: AppError;
}
