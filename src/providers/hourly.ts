import type { Clock } from '../core/clock.ts';

/** Counts what happens, and tells how much of it the last hour has seen, to the minute. */
export interface Hourly {
  add(): void;
  readonly count: number;
}

const MINUTE_MS = 60_000;
const MINUTES = 60;

export function createHourly(clock: Clock): Hourly {
  const byMinute = new Map<number, number>();
  const tidy = (): number => {
    const minute = Math.floor(clock.now() / MINUTE_MS);
    // By distance: a clock that was set back leaves minutes of the future behind.
    for (const it of byMinute.keys()) if (Math.abs(minute - it) >= MINUTES) byMinute.delete(it);
    return minute;
  };
  return {
    add() {
      const minute = tidy();
      byMinute.set(minute, (byMinute.get(minute) ?? 0) + 1);
    },
    get count() {
      tidy();
      return byMinute.values().reduce((sum, count) => sum + count, 0);
    },
  };
}
