/** Milliseconds since 1970, UTC. A parameter everywhere, so that tests own the time. */
export interface Clock {
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/** Clocks of replicas differ by less. */
const APART_MS = 60_000;

/** Whether a time lies so far ahead that it is of a clock that was set back since. */
export function isYetToCome(at: number, now: number): boolean {
  return at - now > APART_MS;
}
