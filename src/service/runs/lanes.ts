import { type Wake, wakeLater } from '../../core/wake.ts';
import { REASONS, type Reason } from '../../queue/queue.ts';

/** When a job is to run again, in milliseconds; undefined: only when it is asked for. */
type Again = number | undefined;

/** Jobs that need the same stores. A lane that is stuck holds its own places, and nobody else's. */
export interface Lanes {
  /**
   * Runs work when the lane has a place, and gives what it gives. What is turned away is given when to come back:
   * those of a lane come back one after the other, about twice as fast as it works. Ten thousand that all came back
   * each second would take longer than the work.
   */
  run(lane: string, reason: Reason, work: () => Promise<Again>): Promise<Again>;
}

export interface LanesOptions {
  readonly places: number;
  /** So many wait in line in any case, beside those that have a place; more as long as it moves. */
  readonly queue: number;
  /** Milliseconds that never go back. */
  readonly now: () => number;
  readonly wake?: Wake;
}

interface Lane {
  running: number;
  /** By reason, the most urgent first: each is told whether it may begin. */
  readonly waiting: ((mayBegin: boolean) => void)[][];
  /** Between the ends of two works, as it was lately; undefined before there were two. */
  paceMs: number | undefined;
  /** When it last began from nothing or ended a work. */
  movedAt: number;
  isMeasured: boolean;
  /** By reason: until when the moments to come back are given away. */
  readonly givenUntil: number[];
}

/** Who would wait longer in line goes back to the queue, since each that waits takes a place there. */
const PATIENCE_MS = 1_000;
const SOONEST_MS = 500;
/** A lane may be faster than it was. */
const LATEST_MS = 60_000;
/** Of a lane of which nothing is known. */
const UNKNOWN_PACE_MS = 20;
/** More come back than there is room for, so that it never stands idle. */
const FASTER = 2;
/** The weight of the last interval in the average. */
const NEWEST = 0.1;

export function createLanes({ places, queue, now, wake = wakeLater }: LanesOptions): Lanes {
  const lanes = new Map<string, Lane>();
  const open = (name: string): Lane => {
    const lane: Lane = {
      running: 0,
      waiting: REASONS.map(() => []),
      paceMs: undefined,
      movedAt: now(),
      isMeasured: false,
      givenUntil: REASONS.map(() => 0),
    };
    lanes.set(name, lane);
    return lane;
  };

  const measure = (lane: Lane): void => {
    const took = now() - lane.movedAt;
    lane.movedAt += took;
    if (lane.isMeasured)
      lane.paceMs = lane.paceMs === undefined ? took : lane.paceMs + (took - lane.paceMs) * NEWEST;
    lane.isMeasured = true;
  };
  const leave = (name: string, lane: Lane): void => {
    measure(lane);
    const next = lane.waiting.find((line) => line.length > 0)?.shift();
    // The place goes on to the next one without becoming free in between.
    if (next !== undefined) next(true);
    else {
      lane.running -= 1;
      if (lane.running === 0) lanes.delete(name);
    }
  };
  /** Whether one who comes now and waits behind so many has its turn soon. */
  const isQuick = ({ paceMs = 0, movedAt }: Lane, ahead: number): boolean =>
    now() - movedAt < PATIENCE_MS && ahead * paceMs < PATIENCE_MS;

  /** Whether it got a place; false when it was turned away. */
  const enter = async (lane: Lane, reason: Reason): Promise<boolean> => {
    if (lane.running < places) {
      lane.running += 1;
      return true;
    }
    const rank = REASONS.indexOf(reason);
    const line = lane.waiting[rank] ?? [];
    // What is less urgent is not ahead, so that it keeps nothing more urgent out.
    const ahead = lane.waiting.slice(0, rank + 1).reduce((sum, { length }) => sum + length, 0);
    // What a person waits for is never turned away.
    const hasRoom = ahead < queue || reason === 'manual';
    if (!hasRoom && !isQuick(lane, ahead)) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    line.push(resolve);
    if (hasRoom) return promise;
    const callOff = wake(() => {
      const at = line.indexOf(resolve);
      if (at < queue) return;
      line.splice(at, 1);
      resolve(false);
    }, PATIENCE_MS);
    try {
      return await promise;
    } finally {
      callOff();
    }
  };

  const comeBack = (lane: Lane, reason: Reason): number => {
    const rank = REASONS.indexOf(reason);
    const soonest = now() + SOONEST_MS;
    const next = (lane.givenUntil[rank] ?? 0) + (lane.paceMs ?? UNKNOWN_PACE_MS) / FASTER;
    // Past the latest moment they begin at the soonest again, so that they stay spread.
    const at = next > now() + LATEST_MS ? soonest : Math.max(soonest, next);
    lane.givenUntil[rank] = at;
    return at - now();
  };

  return {
    async run(name, reason, work) {
      const lane = lanes.get(name) ?? open(name);
      if (!(await enter(lane, reason))) return comeBack(lane, reason);
      try {
        return await work();
      } finally {
        leave(name, lane);
      }
    },
  };
}
