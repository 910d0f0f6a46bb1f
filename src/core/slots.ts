export interface SlotOptions {
  /** Whoever gives up waiting leaves the line. */
  readonly signal?: AbortSignal | undefined;
  /** 0, as when left out, is the most urgent. */
  readonly rank?: number;
}

/** So many at a time. */
export interface Slots {
  take(options?: SlotOptions): Promise<void>;
  give(): void;
  /** Takes one for as long as the work lasts. */
  hold<T>(work: () => Promise<T>, options?: SlotOptions): Promise<T>;
  /** Whether whoever comes now has to wait. */
  isFull(): boolean;
  /** All who wait are turned away with this reason. */
  clear(reason: unknown): void;
}

/** The more urgent first, and of equals in the order in which they came. @param ranks How many there are. */
export function createSlots(count: number, ranks = 1): Slots {
  const lines = Array.from({ length: ranks }, () => new Set<PromiseWithResolvers<void>>());
  let free = count;

  const take = async ({ signal, rank = 0 }: SlotOptions = {}): Promise<void> => {
    signal?.throwIfAborted();
    if (free > 0) {
      free -= 1;
      return;
    }
    const line = lines[Math.min(rank, ranks - 1)];
    const waiting = Promise.withResolvers<void>();
    const leave = () => {
      line?.delete(waiting);
      waiting.reject(signal?.reason);
    };
    line?.add(waiting);
    signal?.addEventListener('abort', leave, { once: true });
    try {
      await waiting.promise;
    } finally {
      signal?.removeEventListener('abort', leave);
    }
  };
  const give = (): void => {
    const line = lines.find(({ size }) => size > 0);
    const [next] = line ?? [];
    if (next === undefined) {
      free += 1;
      return;
    }
    line?.delete(next); // the slot goes to the next one without becoming free in between
    next.resolve();
  };
  return {
    take,
    give,
    async hold(work, options) {
      await take(options);
      try {
        return await work();
      } finally {
        give();
      }
    },
    isFull: () => free === 0,
    clear(reason) {
      for (const line of lines) {
        for (const waiting of line) waiting.reject(reason);
        line.clear();
      }
    },
  };
}
