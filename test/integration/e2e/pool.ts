export interface Pool<Item> extends AsyncDisposable {
  /** Waits for a free item, and lends the item to `work`. */
  use<Result>(work: (item: Item) => Promise<Result>): Promise<Result>;
}

/** A pool of items for exclusive use. Opens each item on first use. */
export function createPool<Item extends AsyncDisposable>(
  size: number,
  open: () => Promise<Item>,
): Pool<Item> {
  const free: (Item | undefined)[] = Array.from({ length: size }, () => undefined);
  const opened: Item[] = [];
  const waiting: ((item: Item | undefined) => void)[] = [];

  return {
    async use(work) {
      let item =
        free.length > 0
          ? free.pop()
          : await new Promise<Item | undefined>((resolve) => waiting.push(resolve));
      try {
        if (item === undefined) {
          item = await open();
          opened.push(item);
        }
        return await work(item);
      } finally {
        const next = waiting.shift();
        if (next === undefined) free.push(item);
        else next(item);
      }
    },
    async [Symbol.asyncDispose]() {
      for (const item of opened) await item[Symbol.asyncDispose]();
    },
  };
}
