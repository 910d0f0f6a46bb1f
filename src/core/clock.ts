/** Milliseconds since 1970, UTC. Clocks are always passed as parameters, so that tests can control the time. */
export interface Clock {
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/** The maximum assumed difference between the clocks of two replicas. */
const MAX_CLOCK_SKEW_MS = 60_000;

/** Whether a time is too far in the future to be real. This happens when the clock has been set back since. */
export function isInFuture(at: number, now: number): boolean {
  return at - now > MAX_CLOCK_SKEW_MS;
}
