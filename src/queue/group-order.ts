import type { Job } from './queue.ts';

/** The largest place. Later jobs of a group share it. */
export const MAX_PLACE = 2 ** 18 - 1;
/** A job is no longer counted after this time, because another process may have run it. */
const FORGET_AFTER_MS = 600_000;

/**
 * Counts the jobs of each group that this process has added and not started. The place of a new job is behind them, so
 * that groups take turns: the first job of a group comes before the second job of any other group.
 */
export class GroupOrder {
  readonly #now: () => number;
  /** For each group, when its jobs were added. */
  readonly #waiting = new Map<string, number[]>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Returns the places of these jobs, in the same order. */
  placesOf(jobs: readonly Pick<Job, 'group'>[]): readonly number[] {
    const ahead = new Map<string, number>();
    return jobs.map(({ group = '' }) => {
      const place = ahead.get(group) ?? this.#count(group);
      ahead.set(group, place + 1);
      return Math.min(place, MAX_PLACE);
    });
  }

  added({ group = '' }: Pick<Job, 'group'>): void {
    const times = this.#waiting.get(group) ?? [];
    this.#waiting.set(group, times);
    times.push(this.#now());
  }

  started({ group = '' }: Pick<Job, 'group'>): void {
    const times = this.#waiting.get(group);
    times?.shift();
    if (times?.length === 0) this.#waiting.delete(group);
  }

  #count(group: string): number {
    const times = this.#waiting.get(group) ?? [];
    const now = this.#now();
    // Compare the absolute difference, because the clock may have been set back.
    const fresh = times.findIndex((at) => Math.abs(now - at) < FORGET_AFTER_MS);
    if (fresh !== 0) times.splice(0, fresh === -1 ? times.length : fresh);
    return times.length;
  }
}
