import { toAppError } from '../core/errors.ts';

/** Requests one item from a store. Rejects with an AppError. */
export type BatchedCall<Item, Answer> = (store: string, item: Item) => Promise<Answer>;

/**
 * Creates a function that collects the items of one turn of the event loop, and sends them with one call per store.
 * @param callAll Sends the items. Returns one promise for each item, in order.
 */
export function createBatcher<Item, Answer>(
  callAll: (store: string, items: readonly Item[]) => Promise<readonly Promise<Answer>[]>,
): BatchedCall<Item, Answer> {
  type QueuedItem = { readonly item: Item; readonly settle: PromiseWithResolvers<Answer> };
  let queue: Map<string, QueuedItem[]> | undefined;

  const flush = async (store: string, all: readonly QueuedItem[]): Promise<void> => {
    const [outcome] = await Promise.allSettled([
      callAll(
        store,
        all.map(({ item }) => item),
      ),
    ]);
    for (const [index, { settle }] of all.entries()) {
      const answer = outcome.status === 'fulfilled' ? outcome.value[index] : Promise.reject(outcome.reason);
      answer?.then(settle.resolve, (error) => settle.reject(toAppError(error)));
    }
  };
  return (store, item) => {
    const settle = Promise.withResolvers<Answer>();
    if (queue === undefined) {
      queue = new Map();
      setImmediate(() => {
        const due = queue;
        queue = undefined;
        for (const [name, all] of due ?? []) void flush(name, all);
      });
    }
    const all = queue.get(store);
    if (all === undefined) queue.set(store, [{ item, settle }]);
    else all.push({ item, settle });
    return settle.promise;
  };
}
