import type { Wake } from '../../core/wake.ts';

/** What a look has of its loop. */
export interface Rounds {
  /** Waits so long, or until the loop is to end. */
  pause(ms: number): Promise<void>;
  readonly ending: boolean;
}

export interface LoopOptions {
  /** @param roused Whether it was called for, and is no turn of the timetable. */
  readonly look: (rounds: Rounds, roused: boolean) => Promise<void>;
  /** From the end of one look to the next. */
  readonly everyMs: number;
  readonly wake: Wake;
  /** Told after each look, with what it threw: a failed look is progress, and the next one comes all the same. */
  readonly onProgress: (error?: unknown) => void;
}

export interface Loop extends AsyncDisposable {
  /** Brings the next look forward to now; during a look, one more follows. */
  rouse(): void;
  /** Runs between two looks, and is one for `onProgress`; never rejects. */
  between(work: () => Promise<void>): Promise<void>;
}

/** A look into a file system that hangs is left alone, so that whoever ends the loop can go on. */
const LEAVE_MS = 2_000;

/** One look at a time, again and again, until it is disposed of. */
export function startLoop({ look, everyMs, wake, onProgress }: LoopOptions): Loop {
  let ending = false;
  let roused = false;
  const waits = new Set<() => void>();
  let endNap: (() => void) | undefined;
  let turn = Promise.resolve();

  const pause = async (ms: number): Promise<void> => {
    if (ending) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const callOff = wake(resolve, ms);
    waits.add(resolve);
    await promise;
    waits.delete(resolve);
    callOff();
  };
  const nap = async (): Promise<void> => {
    if (roused || ending) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const callOff = wake(resolve, everyMs);
    endNap = resolve;
    await promise;
    endNap = undefined;
    callOff();
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
    turn = turn.then(() => attempt(work));
    return turn;
  };
  const rounds: Rounds = {
    pause,
    get ending() {
      return ending;
    },
  };
  const run = async (): Promise<void> => {
    for (;;) {
      await nap();
      if (ending) return;
      const called = roused;
      roused = false;
      await between(() => look(rounds, called));
    }
  };
  const running = run();

  return {
    rouse() {
      roused = true;
      endNap?.();
    },
    between,
    async [Symbol.asyncDispose]() {
      ending = true;
      endNap?.();
      for (const end of waits) end();
      const { promise: left, resolve: leave } = Promise.withResolvers<void>();
      const callOff = wake(leave, LEAVE_MS);
      await Promise.race([Promise.all([running, turn]), left]);
      callOff();
    },
  };
}
