import type { Logger } from '../log/logger.ts';

/** Steps that come again and again, until they are stopped together. One that is under way is not begun again. */
export interface Turns extends Disposable {
  every(ms: number, work: () => void | Promise<void>): void;
}

export function createTurns({
  logger,
  random,
}: {
  readonly logger: Logger;
  readonly random: () => number;
}): Turns {
  const timers: NodeJS.Timeout[] = [];
  return {
    every(ms, work) {
      let underWay: void | Promise<void>;
      const step = async (): Promise<void> => {
        if (underWay !== undefined) return;
        try {
          underWay = work();
          await underWay;
        } catch (error) {
          logger.error('a periodic step failed and goes on', { error });
        }
        underWay = undefined;
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
export function createOneAtATime(
  work: () => Promise<void>,
  onError: (error: unknown) => void,
): () => Promise<void> {
  let running = false;
  let again = false;
  const run = async (): Promise<void> => {
    if (running) {
      again = true;
      return;
    }
    running = true;
    do {
      again = false;
      try {
        await work();
      } catch (error) {
        onError(error);
      }
    } while (again);
    running = false;
  };
  return run;
}
