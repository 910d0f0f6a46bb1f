import type { StartTimer } from '../../core/timer.ts';

/** Things that are judged together if they come soon after one another. */
export interface Coalescer<T> extends Disposable {
  /** One more is to come. What it gives is to be called when it came, or will not. */
  expect(): () => void;
  add(nonNullable: T): void;
}

export interface CoalescerOptions<T> {
  /** No one waits longer than this for the others, in milliseconds. */
  readonly maxWaitMs: number;
  readonly wake: StartTimer;
  readonly deliver: (all: readonly T[]) => void;
}

/** Delivers as soon as nothing is expected any more. */
export function createCoalescer<T>({
  maxWaitMs: patienceMs,
  wake,
  deliver,
}: CoalescerOptions<T>): Coalescer<T> {
  let expected = 0;
  let waiting: T[] = [];
  let cancelTimer: (() => void) | undefined;
  const flush = (): void => {
    cancelTimer?.();
    cancelTimer = undefined;
    const all = waiting;
    waiting = [];
    if (all.length > 0) deliver(all);
  };
  return {
    expect() {
      expected += 1;
      let isExpected = true;
      return () => {
        if (!isExpected) return;
        isExpected = false;
        expected -= 1;
        if (expected === 0) flush();
      };
    },
    add(nonNullable) {
      waiting.push(nonNullable);
      if (expected === 0) flush();
      else cancelTimer ??= wake(flush, patienceMs);
    },
    [Symbol.dispose]() {
      waiting = [];
      cancelTimer?.();
    },
  };
}
