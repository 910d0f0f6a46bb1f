import { toAppError } from '../core/errors.ts';
import { type ReadResult, refId, type SourceRef, type StoreRef } from '../core/reading.ts';
import type { FindQuery, SecretProvider } from './provider.ts';

export interface Reader {
  /** By `refId`. Each reference is read once in the reader's life, however many ask for it. */
  read(refs: readonly StoreRef[]): Promise<ReadonlyMap<string, ReadResult>>;
  /** The full keys that a search finds, sorted. Equal searches are one, and one that fails fails for all. */
  find(store: string, query: FindQuery): Promise<readonly string[]>;
}

interface Wanted {
  readonly source: StoreRef;
  readonly settle: PromiseWithResolvers<ReadResult>;
}

export interface ReaderDeps {
  /** The provider of a store; throws when it cannot be set up, for example without its credential. */
  readonly open: (store: string) => Promise<SecretProvider>;
  /** Told once of each read, before anybody may act on it. */
  readonly onRead: (source: StoreRef, result: ReadResult) => Promise<void>;
  /** Ends the reads under way: each of them is then rejected. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * One pass over the stores: references that are asked for in the same turn of the event loop go to their store
 * together, so that a store which can batch does. Ends with its pass; it keeps values for that long.
 */
export function createReader({ open, onRead, signal }: ReaderDeps): Reader {
  const results = new Map<string, Promise<ReadResult>>();
  const searches = new Map<string, Promise<readonly string[]>>();
  let batch: Map<string, Wanted[]> | undefined;

  const flush = async (store: string, wanted: readonly Wanted[]): Promise<void> => {
    const answers = await readAll(
      open,
      store,
      wanted.map(({ source }) => source.ref),
      signal,
    );
    await Promise.all(
      wanted.map(async ({ source, settle }, index) => {
        const answer = answers[index];
        try {
          signal?.throwIfAborted();
          if (answer === undefined) throw new Error('a provider must answer each reference');
          await onRead(source, answer);
          settle.resolve(answer);
        } catch (error) {
          settle.reject(toAppError(error));
        }
      }),
    );
  };

  const ask = (source: StoreRef): Promise<ReadResult> => {
    const wanted: Wanted = { source, settle: Promise.withResolvers() };
    if (batch === undefined) {
      batch = new Map();
      setImmediate(() => {
        const due = batch;
        batch = undefined;
        for (const [store, all] of due ?? []) void flush(store, all);
      });
    }
    const sameStore = batch.get(source.store);
    if (sameStore === undefined) batch.set(source.store, [wanted]);
    else sameStore.push(wanted);
    return wanted.settle.promise;
  };

  const search = async (store: string, query: FindQuery): Promise<readonly string[]> => {
    const provider = await open(store);
    return provider.find(query, signal === undefined ? {} : { signal });
  };

  return {
    find(store, query) {
      const id = JSON.stringify([store, query.path, Object.entries(query.tags).sort()]);
      const result = searches.get(id) ?? search(store, query);
      searches.set(id, result);
      return result;
    },
    read: async (refs) => {
      const pairs = refs.map((source): [string, Promise<ReadResult>] => {
        const id = refId(source);
        const result = results.get(id) ?? ask(source);
        results.set(id, result);
        return [id, result];
      });
      return new Map(await Promise.all(pairs.map(async ([id, result]) => [id, await result] as const)));
    },
  };
}

/** A store that cannot be opened fails each of its references, and nobody else's. */
async function readAll(
  open: ReaderDeps['open'],
  store: string,
  refs: readonly SourceRef[],
  signal: AbortSignal | undefined,
): Promise<readonly ReadResult[]> {
  try {
    const provider = await open(store);
    return await provider.read(refs, signal === undefined ? {} : { signal });
  } catch (thrown) {
    const error = toAppError(thrown);
    return refs.map(() => ({ kind: 'failed', error }));
  }
}
