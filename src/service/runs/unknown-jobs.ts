import type { Clock } from '../../core/clock.ts';

/**
 * Jobs about what this process does not know. That may be of a configuration that has reached another replica first, or
 * of a newer release, so they go back to the queue for a while, for another to take.
 */
export interface UnknownJobs {
  /** Gives when the job is to come again; undefined: nobody has known it for long enough. */
  handBack(subject: string): number | undefined;
  /** It is known now. */
  forget(subject: string): void;
}

/** So long replicas may differ in their configuration. */
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
  // By distance: a clock that was set back must not keep a job on its way for hours.
  const isExpired = (at: number): boolean => Math.abs(clock.now() - at) > HAND_BACK_FOR_MS;
  return {
    handBack(subject) {
      // Not seen for so long, it went to another. What comes now is the next one about the same, with time of its own.
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
