import type { StartTimer } from '../../core/timer.ts';

/** The functions through which a check controls its loop. */
export interface LoopContext {
  /** Waits for this time, or until the loop ends. */
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
export function startLoop(options: LoopOptions): Loop {
  return new CheckLoop(options);
}

class CheckLoop implements Loop, LoopContext {
  ending = false;
  readonly #options: LoopOptions;
  readonly #waits = new Set<() => void>();
  #roused = false;
  #endWait: (() => void) | undefined;
  #lastRun = Promise.resolve();
  readonly #running: Promise<void>;

  constructor(options: LoopOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  trigger(): void {
    this.#roused = true;
    this.#endWait?.();
  }

  runExclusively(work: () => Promise<void>): Promise<void> {
    this.#lastRun = this.#lastRun.then(() => this.#attempt(work));
    return this.#lastRun;
  }

  async pause(ms: number): Promise<void> {
    if (this.ending) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancelTimer = this.#options.wake(resolve, ms);
    this.#waits.add(resolve);
    await promise;
    this.#waits.delete(resolve);
    cancelTimer();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ending = true;
    this.#endWait?.();
    for (const end of this.#waits) end();
    const { promise: timeout, resolve: endWaiting } = Promise.withResolvers<void>();
    const cancelTimer = this.#options.wake(endWaiting, SHUTDOWN_TIMEOUT_MS);
    await Promise.race([Promise.all([this.#running, this.#lastRun]), timeout]);
    cancelTimer();
  }

  async #run(): Promise<void> {
    for (;;) {
      await this.#waitForNext();
      if (this.ending) return;
      const wasTriggered = this.#roused;
      this.#roused = false;
      await this.runExclusively(() => this.#options.check(this, wasTriggered));
    }
  }

  async #waitForNext(): Promise<void> {
    if (this.#roused || this.ending) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancelTimer = this.#options.wake(resolve, this.#options.everyMs);
    this.#endWait = resolve;
    await promise;
    this.#endWait = undefined;
    cancelTimer();
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#options.onProgress();
    } catch (error) {
      this.#options.onProgress(error);
    }
  }
}
