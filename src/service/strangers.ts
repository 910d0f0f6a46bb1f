import type { Clock } from '../core/clock.ts';

/**
 * Jobs about what this process does not know. That may be of a configuration that has reached another replica first, or
 * of a newer release, so they go back to the queue for a while, for another to take.
 */
export interface Strangers {
  /** Gives when the job is to come again; undefined: nobody has known it for long enough. */
  handBack(subject: string): number | undefined;
  /** It is known now. */
  forget(subject: string): void;
}

/** So long replicas may differ in their configuration. */
const STRANGE_MS = 120_000;
const AGAIN_MS = 1_000;

export function createStrangers({
  clock,
  random,
}: {
  readonly clock: Clock;
  readonly random: () => number;
}): Strangers {
  const since = new Map<string, number>();
  // By distance: a clock that was set back must not keep a job on its way for hours.
  const isOver = (at: number): boolean => Math.abs(clock.now() - at) > STRANGE_MS;
  return {
    handBack(subject) {
      const at = since.get(subject) ?? clock.now();
      for (const [name, other] of since) if (isOver(other)) since.delete(name);
      if (isOver(at)) return undefined;
      since.set(subject, at);
      return AGAIN_MS * (1 + random());
    },
    forget: (subject) => void since.delete(subject),
  };
}
