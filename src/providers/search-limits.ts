import { AppError } from '../core/errors.ts';

/** A Secret holds only 1 MiB. A search that finds more keys than this is a mistake, and would overload the store. */
const MAX_KEYS = 10_000;

/** @throws AppError TOO_LARGE if a search has found too many keys. */
export function checkKeyCount(keys: number): void {
  if (keys > MAX_KEYS) throw tooManyResults(`more than ${MAX_KEYS} keys`);
}

/** @param what The excess, such as `more than 10000 folders`. */
export function tooManyResults(what: string): AppError {
  return new AppError('TOO_LARGE', { detail: `the search finds ${what}` });
}
