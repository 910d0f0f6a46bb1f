import { REASONS, type Reason } from '../queue/queue.ts';

/** Jobs that need the same stores. A lane that is stuck holds its own places, and nobody else's. */
export interface Lanes {
  /** Runs work when the lane has a place; `undefined` when too many as urgent wait there already. */
  run<T>(lane: string, reason: Reason, work: () => Promise<T>): Promise<T> | undefined;
}

interface Lane {
  running: number;
  /** By reason, the most urgent first. */
  readonly waiting: (() => void)[][];
}

export function createLanes({ places, queue }: { readonly places: number; readonly queue: number }): Lanes {
  const lanes = new Map<string, Lane>();

  const leave = (name: string, lane: Lane): void => {
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
      const lane = lanes.get(name) ?? { running: 0, waiting: REASONS.map(() => []) };
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
  };
}
