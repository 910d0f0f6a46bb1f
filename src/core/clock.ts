/** Milliseconds since 1970, UTC. It is always passed as a parameter, so that tests control the time. */
export interface Clock {
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/** The clocks of replicas differ by less than this. */
const MAX_CLOCK_SKEW_MS = 60_000;

/** Whether a time lies too far ahead to be real, which happens when a clock was set back since. */
export function isInFuture(at: number, now: number): boolean {
  return at - now > MAX_CLOCK_SKEW_MS;
}
