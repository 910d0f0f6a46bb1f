import type { StartTimer } from '../../core/timer.ts';

/** Delivers items in batches. Waits while more items are expected. */
export interface Coalescer<T> extends Disposable {
  /** Announces an item. Call the returned function when the item has arrived or will not arrive. */
  expect(): () => void;
  add(nonNullable: T): void;
}

export interface CoalescerOptions<T> {
  /** Maximum delay of an item, in milliseconds. */
  readonly maxWaitMs: number;
  readonly wake: StartTimer;
  readonly deliver: (all: readonly T[]) => void;
}

/** Delivers as soon as no item is expected, or after the maximum delay. */
export function createCoalescer<T>({ maxWaitMs, wake, deliver }: CoalescerOptions<T>): Coalescer<T> {
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
      else cancelTimer ??= wake(flush, maxWaitMs);
    },
    [Symbol.dispose]() {
      waiting = [];
      cancelTimer?.();
    },
  };
}
