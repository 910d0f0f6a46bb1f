import { type Job, REASONS } from './queue.ts';

/** A job and its due time in milliseconds since 1970. */
export interface PendingTrigger {
  readonly job: Job;
  readonly dueAt: number;
}

/** The rank of a job's reason. A lower rank is more urgent. */
export function rankOf({ reason }: Job): number {
  return REASONS.indexOf(reason);
}

/**
 * Merges two triggers into one with the more urgent reason and the earlier due time. For equal reasons the newer
 * request id is kept, because values read for the older request may be too old for the newer one.
 */
export function mergeTriggers(older: PendingTrigger | undefined, newer: PendingTrigger): PendingTrigger {
  if (older === undefined) return newer;
  return {
    job: rankOf(newer.job) <= rankOf(older.job) ? newer.job : older.job,
    dueAt: Math.min(older.dueAt, newer.dueAt),
  };
}
