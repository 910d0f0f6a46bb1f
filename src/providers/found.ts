import { AppError } from '../core/errors.ts';

/** A Secret holds 1 MiB, so a search that finds more than this is a mistake, and would load the store. */
const MOST_KEYS = 10_000;

/** @throws AppError TOO_LARGE for a search that has found so many keys. */
export function checkCount(keys: number): void {
  if (keys > MOST_KEYS) throw tooManyFound(`more than ${MOST_KEYS} keys`);
}

/** @param what Such as `more than 10000 folders`. */
export function tooManyFound(what: string): AppError {
  return new AppError('TOO_LARGE', { detail: `the search finds ${what}` });
}
