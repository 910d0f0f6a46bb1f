import type { StartTimer } from '../../core/timer.ts';

interface ArrivalBatchOptions<T> {
  /** Maximum delay of an item, in milliseconds. */
  readonly maxWaitMs: number;
  readonly wake: StartTimer;
  readonly deliver: (items: readonly T[]) => void;
}

/** Collects items while more are expected. Delivers them when no item is expected, or after the maximum delay. */
export class ArrivalBatch<T> implements Disposable {
  readonly #options: ArrivalBatchOptions<T>;
  #expected = 0;
  #waiting: T[] = [];
  #cancelTimer: (() => void) | undefined;

  constructor(options: ArrivalBatchOptions<T>) {
    this.#options = options;
  }

  /** Announces an item. Call the returned function when the item has arrived or will not arrive. */
  expect(): () => void {
    this.#expected += 1;
    let isExpected = true;
    return () => {
      if (!isExpected) return;
      isExpected = false;
      this.#expected -= 1;
      if (this.#expected === 0) this.#flush();
    };
  }

  add(item: T): void {
    this.#waiting.push(item);
    if (this.#expected === 0) this.#flush();
    else this.#cancelTimer ??= this.#options.wake(() => this.#flush(), this.#options.maxWaitMs);
  }

  [Symbol.dispose](): void {
    this.#waiting = [];
    this.#cancelTimer?.();
  }

  #flush(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const items = this.#waiting;
    this.#waiting = [];
    if (items.length > 0) this.#options.deliver(items);
  }
}
