import type { Clock } from '../../src/core/clock.ts';
import { HISTORY_END } from './history.ts';

/** The present time of the pages and their servers: a day after the last records, whenever the tests run. */
export const PRESENT = HISTORY_END + 86_400_000;

/** Returns a clock that starts at `PRESENT`. */
export function presentClock(): Clock {
  const openedAt = Date.now();
  return { now: () => PRESENT + Date.now() - openedAt };
}
