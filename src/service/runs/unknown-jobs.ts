import type { Clock } from '../../core/clock.ts';

/**
 * Returns an unknown job to the queue for up to two minutes. The subject of an unknown job is not in the configuration
 * of this process: it may belong to a newer configuration or release in another replica.
 */
export interface UnknownJobs {
  /** Returns the delay until the job runs again, or `undefined` if it is dropped after two minutes. */
  handBack(subject: string): number | undefined;
  /** Forgets a subject that is now in the configuration. */
  forget(subject: string): void;
}

/** Maximum time for which replicas normally have different configurations. */
const HAND_BACK_FOR_MS = 120_000;
const HAND_BACK_DELAY_MS = 1_000;

export function createUnknownJobs({
  clock,
  random,
}: {
  readonly clock: Clock;
  readonly random: () => number;
}): UnknownJobs {
  const seen = new Map<string, { readonly since: number; readonly last: number }>();
  // Compare the absolute difference, so that a clock set back does not keep a job for hours.
  const isExpired = (at: number): boolean => Math.abs(clock.now() - at) > HAND_BACK_FOR_MS;
  return {
    handBack(subject) {
      // If a job has not returned for this long, another replica took it. The two minutes of a new job for the same
      // subject then start with that job.
      for (const [name, { last }] of seen) if (isExpired(last)) seen.delete(name);
      const last = clock.now();
      const { since } = seen.get(subject) ?? { since: last };
      if (isExpired(since)) {
        seen.delete(subject);
        return undefined;
      }
      seen.set(subject, { since, last });
      return HAND_BACK_DELAY_MS * (1 + random());
    },
    forget: (subject) => void seen.delete(subject),
  };
}
