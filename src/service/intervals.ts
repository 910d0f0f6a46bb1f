import type { Logger } from '../telemetry/logger.ts';

/** Periodic tasks that are stopped together. A task is not started again while it is running. */
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
          logger.error('a periodic task failed and will run again', { error });
        }
        running = undefined;
      };
      // Adds jitter, so that replicas that start together spread their requests.
      timers.push(setInterval(() => void step(), ms * (0.95 + 0.1 * random())));
    },
    [Symbol.dispose]() {
      for (const timer of timers) clearInterval(timer);
    },
  };
}
