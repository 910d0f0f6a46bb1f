import type { StartTimer } from '../../core/timer.ts';

/** The control that a check has over its loop. */
export interface LoopContext {
  /** Waits this long, or until the loop ends. */
  pause(ms: number): Promise<void>;
  readonly ending: boolean;
}

export interface LoopOptions {
  /** @param roused Whether the check was triggered rather than scheduled. */
  readonly check: (rounds: LoopContext, roused: boolean) => Promise<void>;
  /** The time from the end of one check to the next. */
  readonly everyMs: number;
  readonly wake: StartTimer;
  /**
   * Called after each check, with its error if it failed. A failed check also counts as progress, and the next one
   * follows as usual.
   */
  readonly onProgress: (error?: unknown) => void;
}

export interface Loop extends AsyncDisposable {
  /** Runs the next check now. During a check, it runs one more afterwards. */
  trigger(): void;
  /** Runs work between two checks and reports it to `onProgress`. Never rejects. */
  runExclusively(work: () => Promise<void>): Promise<void>;
}

/** Do not wait longer for a check on a hanging file system when the loop ends. */
const SHUTDOWN_TIMEOUT_MS = 2_000;

/** Runs one check at a time, repeatedly, until disposed. */
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
