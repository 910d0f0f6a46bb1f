import { type Job, REASONS } from './queue.ts';

/** A job and when it is due, in milliseconds since 1970. */
export interface Wish {
  readonly job: Job;
  readonly due: number;
}

/** The more urgent the smaller. */
export function rankOf({ reason }: Job): number {
  return REASONS.indexOf(reason);
}

/**
 * One wish for both: the most urgent reason and the earlier time. Of equals the newer request stands, since what was
 * read for the older one may be from before the newer one was made.
 */
export function merged(older: Wish | undefined, newer: Wish): Wish {
  if (older === undefined) return newer;
  return {
    job: rankOf(newer.job) <= rankOf(older.job) ? newer.job : older.job,
    due: Math.min(older.due, newer.due),
  };
}
