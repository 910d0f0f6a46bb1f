import type { Logger } from '../log/logger.ts';

/** Steps that come again and again, until they are stopped together. One that is under way is not begun again. */
export interface Intervals extends Disposable {
  every(ms: number, work: () => void | Promise<void>): void;
}

export function createIntervals({
  logger,
  random,
}: {
  readonly logger: Logger;
  readonly random: () => number;
}): Intervals {
  const timers: NodeJS.Timeout[] = [];
  return {
    every(ms, work) {
      let running: void | Promise<void>;
      const step = async (): Promise<void> => {
        if (running !== undefined) return;
        try {
          running = work();
          await running;
        } catch (error) {
          logger.error('a periodic step failed and goes on', { error });
        }
        running = undefined;
      };
      // Replicas that start together do not all ask in the same moment.
      timers.push(setInterval(() => void step(), ms * (0.95 + 0.1 * random())));
    },
    [Symbol.dispose]() {
      for (const timer of timers) clearInterval(timer);
    },
  };
}

/** Runs again once if it was asked for while it ran, whether that went well or not. */
export function createCoalescedTask(
  work: () => Promise<void>,
  onError: (error: unknown) => void,
): () => Promise<void> {
  let running = false;
  let rerun = false;
  const run = async (): Promise<void> => {
    if (running) {
      rerun = true;
      return;
    }
    running = true;
    do {
      rerun = false;
      try {
        await work();
      } catch (error) {
        onError(error);
      }
    } while (rerun);
    running = false;
  };
  return run;
}
