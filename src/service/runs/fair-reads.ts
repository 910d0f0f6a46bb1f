import type { ReadResult, StoreRef } from '../../core/read-result.ts';
import { createSemaphore, type Semaphore } from '../../core/semaphore.ts';
import type { SyncContext } from '../../reconcile/context.ts';

/** The number of keys in one read. A store reads them concurrently, or in one batch. */
const KEYS_PER_READ = 20;
/** The reads of an `include` that may wait for a store at the same time. */
const READS_AT_ONCE = 2;

/**
 * Limits how many keys of an `include` wait for a store. A store serves its requests in the order of their arrival, so
 * the requests of one tenant would delay those of the others.
 */
export class FairReads {
  readonly #byStore = new Map<string, Semaphore>();

  /** Wraps the context of a job of an `include`. */
  wrap(context: SyncContext, include: string): SyncContext {
    return {
      ...context,
      read: async (refs) => {
        const byStore = [...Map.groupBy(refs, ({ store }) => store)];
        const results = await Promise.all(
          byStore.map(([store, own]) => readInParts(own, context, this.#semaphore(include, store))),
        );
        return new Map(results.flatMap((entries) => [...entries]));
      },
      find: (store, query) => this.#semaphore(include, store).run(() => context.find(store, query)),
    };
  }

  #semaphore(include: string, store: string): Semaphore {
    const id = JSON.stringify([include, store]);
    const semaphore = this.#byStore.get(id) ?? createSemaphore(READS_AT_ONCE);
    this.#byStore.set(id, semaphore);
    return semaphore;
  }
}

async function readInParts(
  refs: readonly StoreRef[],
  { read }: Pick<SyncContext, 'read'>,
  semaphore: Semaphore,
): Promise<ReadonlyMap<string, ReadResult>> {
  const results = new Map<string, ReadResult>();
  for (let first = 0; first < refs.length; first += KEYS_PER_READ) {
    const part = refs.slice(first, first + KEYS_PER_READ);
    for (const [id, result] of await semaphore.run(() => read(part))) results.set(id, result);
  }
  return results;
}
