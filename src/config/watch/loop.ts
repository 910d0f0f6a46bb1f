import type { StartTimer } from '../../core/timer.ts';

/** The functions through which a check controls its loop. */
export interface LoopContext {
  /** Waits this long, but not after the loop has ended. */
  pause(ms: number): Promise<void>;
  readonly ending: boolean;
}

export interface LoopOptions {
  /** @param roused Whether the check was triggered rather than scheduled. */
  readonly check: (rounds: LoopContext, roused: boolean) => Promise<void>;
  /** The time between the end of one check and the start of the next. */
  readonly everyMs: number;
  readonly wake: StartTimer;
  /** Called after each check, with its error if it failed. After a failed check the loop continues as usual. */
  readonly onProgress: (error?: unknown) => void;
}

export interface Loop extends AsyncDisposable {
  /** Starts the next check now. If a check is running, another one follows it. */
  trigger(): void;
  /** Runs work while no check is running, and reports its error to `onProgress`. Never rejects. */
  runExclusively(work: () => Promise<void>): Promise<void>;
}

/** The longest wait for a running check when the loop ends. The check may hang on a file system. */
const SHUTDOWN_TIMEOUT_MS = 2_000;

/** Runs checks repeatedly, one at a time, until disposed. */
export function startLoop({ check, everyMs, wake, onProgress }: LoopOptions): Loop {
  let ending = false;
  let roused = false;
  const waits = new Set<() => void>();
  let endWait: (() => void) | undefined;
  let lastRun = Promise.resolve();

  const pause = async (ms: number): Promise<void> => {
    if (ending) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancelTimer = wake(resolve, ms);
    waits.add(resolve);
    await promise;
    waits.delete(resolve);
    cancelTimer();
  };
  const waitForNext = async (): Promise<void> => {
    if (roused || ending) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancelTimer = wake(resolve, everyMs);
    endWait = resolve;
    await promise;
    endWait = undefined;
    cancelTimer();
  };
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
      onProgress();
    } catch (error) {
      onProgress(error);
    }
  };
  const between = (work: () => Promise<void>): Promise<void> => {
    lastRun = lastRun.then(() => attempt(work));
    return lastRun;
  };
  const context: LoopContext = {
    pause,
    get ending() {
      return ending;
    },
  };
  const run = async (): Promise<void> => {
    for (;;) {
      await waitForNext();
      if (ending) return;
      const wasTriggered = roused;
      roused = false;
      await between(() => check(context, wasTriggered));
    }
  };
  const running = run();

  return {
    trigger() {
      roused = true;
      endWait?.();
    },
    runExclusively: between,
    async [Symbol.asyncDispose]() {
      ending = true;
      endWait?.();
      for (const end of waits) end();
      const { promise: timeout, resolve: endWaiting } = Promise.withResolvers<void>();
      const cancelTimer = wake(endWaiting, SHUTDOWN_TIMEOUT_MS);
      await Promise.race([Promise.all([running, lastRun]), timeout]);
      cancelTimer();
    },
  };
}
