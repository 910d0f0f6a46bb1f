import type { Wake } from '../../core/wake.ts';

/** Things that are judged together if they come soon after one another. */
export interface Together<T> extends Disposable {
  /** One more is to come. What it gives is to be called when it came, or will not. */
  expect(): () => void;
  add(it: T): void;
}

export interface TogetherOptions<T> {
  /** No one waits longer than this for the others, in milliseconds. */
  readonly patienceMs: number;
  readonly wake: Wake;
  readonly deliver: (all: readonly T[]) => void;
}

/** Delivers as soon as nothing is expected any more. */
export function createTogether<T>({ patienceMs, wake, deliver }: TogetherOptions<T>): Together<T> {
  let expected = 0;
  let waiting: T[] = [];
  let callOff: (() => void) | undefined;
  const flush = (): void => {
    callOff?.();
    callOff = undefined;
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
    add(it) {
      waiting.push(it);
      if (expected === 0) flush();
      else callOff ??= wake(flush, patienceMs);
    },
    [Symbol.dispose]() {
      waiting = [];
      callOff?.();
    },
  };
}
