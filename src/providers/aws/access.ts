import { AppError } from '../../core/errors.ts';
import { isDenied, isType, toStoreError, UNSUPPORTED_TYPES } from './errors.ts';

/** The result of a test call. `denied` and `not there` also prove that connection and login work. */
export type Access = 'yes' | 'denied' | 'not there';

/** Tells what the result of a call says about our access. Returns the error if it shows a problem of the store. */
export async function accessTo(call: Promise<unknown>): Promise<Access | AppError> {
  try {
    await call;
    return 'yes';
  } catch (thrown) {
    if (isDenied(thrown)) return 'denied';
    if (isType(thrown, ...UNSUPPORTED_TYPES)) return 'not there';
    return asAppError(thrown);
  }
}

/** Returns the error with which the work fails, if any. */
export async function errorOf(work: Promise<unknown>): Promise<AppError | undefined> {
  try {
    await work;
    return undefined;
  } catch (thrown) {
    return asAppError(thrown);
  }
}

function asAppError(thrown: unknown): AppError {
  const error = toStoreError(thrown);
  if (error instanceof AppError) return error;
  throw error;
}
