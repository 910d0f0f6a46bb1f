import type { Clock } from '../core/clock.ts';

/** Counts the events of the last hour, to the minute. */
export interface HourlyCounter {
  add(): void;
  readonly count: number;
}

const MINUTE_MS = 60_000;
const MINUTES = 60;

export function createHourlyCounter(clock: Clock): HourlyCounter {
  const byMinute = new Map<number, number>();
  const dropOldMinutes = (): number => {
    const minute = Math.floor(clock.now() / MINUTE_MS);
    // Compare the absolute difference. After the clock was set back, stored minutes lie in the future.
    for (const storedMinute of byMinute.keys())
      if (Math.abs(minute - storedMinute) >= MINUTES) byMinute.delete(storedMinute);
    return minute;
  };
  return {
    add() {
      const minute = dropOldMinutes();
      byMinute.set(minute, (byMinute.get(minute) ?? 0) + 1);
    },
    get count() {
      dropOldMinutes();
      return byMinute.values().reduce((sum, count) => sum + count, 0);
    },
  };
}
