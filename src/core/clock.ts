/** Milliseconds since 1970, UTC. A parameter everywhere, so that tests own the time. */
export interface Clock {
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };
