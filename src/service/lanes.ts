import { REASONS, type Reason } from '../queue/queue.ts';

/** Jobs that need the same stores. A lane that is stuck holds its own places, and nobody else's. */
export interface Lanes {
  /** Runs work when the lane has a place; `undefined` when too many as urgent wait there already. */
  run<T>(lane: string, reason: Reason, work: () => Promise<T>): Promise<T> | undefined;
  /**
   * When a job that was turned away should come back, in milliseconds: those of a lane come back one after the other,
   * about twice as fast as it works. Ten thousand that all came back each second would take longer than the work.
   */
  comeBack(lane: string, reason: Reason): number;
}

export interface LanesOptions {
  readonly places: number;
  /** So many wait in line, beside those that have a place. */
  readonly queue: number;
  /** Milliseconds that never go back. */
  readonly now: () => number;
}

interface Lane {
  running: number;
  /** By reason, the most urgent first. */
  readonly waiting: (() => void)[][];
  /** Between the ends of two works, as it was lately; undefined before there were two. */
  paceMs: number | undefined;
  endedAt: number | undefined;
  /** By reason: until when the moments to come back are given away. */
  readonly givenUntil: number[];
}

const SOONEST_MS = 500;
/** A lane may be faster than it was. */
const LATEST_MS = 60_000;
/** Of a lane of which nothing is known. */
const UNKNOWN_PACE_MS = 20;
/** More come back than there is room for, so that it never stands idle. */
const FASTER = 2;
/** The weight of the last interval in the average. */
const NEWEST = 0.1;

export function createLanes({ places, queue, now }: LanesOptions): Lanes {
  const lanes = new Map<string, Lane>();
  const laneOf = (name: string): Lane =>
    lanes.get(name) ?? {
      running: 0,
      waiting: REASONS.map(() => []),
      paceMs: undefined,
      endedAt: undefined,
      givenUntil: REASONS.map(() => 0),
    };

  const measure = (lane: Lane): void => {
    const at = now();
    if (lane.endedAt !== undefined) {
      const took = at - lane.endedAt;
      lane.paceMs = lane.paceMs === undefined ? took : lane.paceMs + (took - lane.paceMs) * NEWEST;
    }
    lane.endedAt = at;
  };
  const leave = (name: string, lane: Lane): void => {
    measure(lane);
    const next = lane.waiting.find((line) => line.length > 0)?.shift();
    // The place goes on to the next one without becoming free in between.
    if (next !== undefined) next();
    else {
      lane.running -= 1;
      if (lane.running === 0) lanes.delete(name);
    }
  };

  return {
    run(name, reason, work) {
      const lane = laneOf(name);
      const rank = REASONS.indexOf(reason);
      // What is less urgent is not ahead, so that it keeps nothing more urgent out.
      const ahead = lane.waiting.slice(0, rank + 1).reduce((sum, line) => sum + line.length, 0);
      // What a person waits for is never turned away.
      if (ahead >= queue && reason !== 'manual') return undefined;
      lanes.set(name, lane);
      return (async () => {
        if (lane.running < places) lane.running += 1;
        else {
          const { promise, resolve } = Promise.withResolvers<void>();
          lane.waiting[rank]?.push(resolve);
          await promise;
        }
        try {
          return await work();
        } finally {
          leave(name, lane);
        }
      })();
    },
    comeBack(name, reason) {
      const lane = laneOf(name);
      const rank = REASONS.indexOf(reason);
      const soonest = now() + SOONEST_MS;
      const next = (lane.givenUntil[rank] ?? 0) + (lane.paceMs ?? UNKNOWN_PACE_MS) / FASTER;
      // Past the latest moment they begin at the soonest again, so that they stay spread.
      const at = next > now() + LATEST_MS ? soonest : Math.max(soonest, next);
      lane.givenUntil[rank] = at;
      return at - now();
    },
  };
}
