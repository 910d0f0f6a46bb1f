import { toAppError } from '../core/errors.ts';

/** Asks for one thing of a store; rejects with an AppError. */
export type Ask<Item, Answer> = (store: string, item: Item) => Promise<Answer>;

/**
 * What is asked for in the same turn of the event loop goes to its store together.
 * @param askAll One promise for each item, in their order.
 */
export function createTurn<Item, Answer>(
  askAll: (store: string, items: readonly Item[]) => Promise<readonly Promise<Answer>[]>,
): Ask<Item, Answer> {
  type Wanted = { readonly item: Item; readonly settle: PromiseWithResolvers<Answer> };
  let turn: Map<string, Wanted[]> | undefined;

  const flush = async (store: string, all: readonly Wanted[]): Promise<void> => {
    const [asked] = await Promise.allSettled([
      askAll(
        store,
        all.map(({ item }) => item),
      ),
    ]);
    for (const [index, { settle }] of all.entries()) {
      const answer = asked.status === 'fulfilled' ? asked.value[index] : Promise.reject(asked.reason);
      answer?.then(settle.resolve, (error) => settle.reject(toAppError(error)));
    }
  };
  return (store, item) => {
    const settle = Promise.withResolvers<Answer>();
    if (turn === undefined) {
      turn = new Map();
      setImmediate(() => {
        const due = turn;
        turn = undefined;
        for (const [name, all] of due ?? []) void flush(name, all);
      });
    }
    const all = turn.get(store);
    if (all === undefined) turn.set(store, [{ item, settle }]);
    else all.push({ item, settle });
    return settle.promise;
  };
}
