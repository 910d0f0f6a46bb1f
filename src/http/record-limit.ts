import { LRUCache } from 'lru-cache';
import type { Clock } from '../core/clock.ts';

/** The maximum number of records about one person in a minute, because people can repeat a request at will. */
const MAX_RECORDS = 20;
const WINDOW_MS = 60_000;
const MAX_PEOPLE = 1_000;

/**
 * Limits the records about each person. The returned function returns undefined if the person has reached the limit of
 * this minute. Otherwise it returns the number of refusals without a record since the last record.
 */
export function createRecordLimit(clock: Clock): (name: string) => number | undefined {
  const windows = new LRUCache<string, { records: number; skipped: number; readonly until: number }>({
    max: MAX_PEOPLE,
  });
  return (name) => {
    const now = clock.now();
    const last = windows.get(name);
    // If more than a whole window remains, the clock was set back. So end this window.
    const isOver = last === undefined || now >= last.until || last.until - now > WINDOW_MS;
    const window = isOver ? { records: 0, skipped: last?.skipped ?? 0, until: now + WINDOW_MS } : last;
    windows.set(name, window);
    if (window.records >= MAX_RECORDS) {
      window.skipped += 1;
      return undefined;
    }
    window.records += 1;
    const { skipped } = window;
    window.skipped = 0;
    return skipped;
  };
}
