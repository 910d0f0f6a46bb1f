import { unlessAborted } from '../core/abort.ts';
import { toAppError } from '../core/errors.ts';
import type { PendingRecord } from '../core/pending-record.ts';
import {
  isCurrentSecretRef,
  type ReadResult,
  refId,
  type SourceRef,
  type StampedVersion,
  type StoreRef,
  sizeOf,
} from '../core/read-result.ts';
import { createBatcher } from './batcher.ts';
import { type CacheBudget, createBoundedCache, createCacheBudget, type MaxAge } from './bounded-cache.ts';
import { createPrefetchQueue } from './prefetch-queue.ts';
import type { CallOptions, FindQuery, SecretProvider, VersionOptions, VersionResult } from './provider.ts';
import { orElse } from './settle.ts';

export interface Reader {
  /** Returns results by `refId`. While a value is cached, its reference is read only once, even for many callers. */
  read(refs: readonly StoreRef[]): Promise<ReadonlyMap<string, ReadResult>>;
  /**
   * Resolves when the last reads of these references are durable in the audit log. Callers must not act on a read
   * before that.
   */
  recorded(refs: readonly StoreRef[]): Promise<void>;
  /** Returns the full keys that a search finds, sorted. Equal searches share one result, even a failure. */
  find(store: string, query: FindQuery): Promise<readonly string[]>;
  /**
   * Announces references that will be needed later, in about this order. They fill free places in batch requests for
   * other references, and never cause a request of their own.
   */
  prefetch(refs: readonly StoreRef[]): void;
  /**
   * Returns the current versions of keys, in the order of the keys, to find out which keys must be read. They are
   * `unknown` if the store failed.
   */
  versions(store: string, keys: readonly string[]): Promise<readonly VersionResult[]>;
}

export interface ReaderDeps {
  /** Returns the provider of a store. Throws if it cannot be set up, for example because its credential is missing. */
  readonly open: (store: string) => Promise<Pick<SecretProvider, 'read' | 'find' | 'versions'>>;
  /**
   * Called for each read before its result is returned. May return a record that becomes durable later. If the record
   * could not be written, this function is called again when the same reference is next requested.
   */
  readonly onRead: (
    source: StoreRef,
    result: ReadResult,
    tookMs: number,
  ) => Promise<PendingRecord | undefined>;
  /** The clock for `tookMs`, the duration of the whole request to the store. Default: always 0. */
  readonly now?: () => number;
  /** Returns the last recorded version of a key that this process has not read yet. */
  readonly lastReadVersion?: (store: string, key: string) => Promise<StampedVersion | undefined>;
  /** If aborted, the running reads reject. */
  readonly signal?: AbortSignal | undefined;
  /** The size limit for cached values and names. The oldest ones are evicted, and are read again when needed. */
  readonly cacheBudget?: CacheBudget;
  /** The maximum age of cached values. By default, values are cached as long as the reader exists. */
  readonly maxAge?: MaxAge | undefined;
  /** The number of values that one request to a store can return. Default: 1. */
  readonly batchSizeOf?: (store: string) => number;
}

const UNKNOWN: VersionResult = { kind: 'unknown' };

/**
 * Reads from stores for one sync context. References that are requested in the same turn of the event loop are sent to
 * their store together, so that stores can read them in batches. Values are cached while the reader exists.
 */
export function createReader(deps: ReaderDeps): Reader {
  const {
    open,
    onRead,
    lastReadVersion,
    signal,
    cacheBudget = createCacheBudget(),
    batchSizeOf = () => 1,
    maxAge,
    now = () => 0,
  } = deps;
  const reads = createBoundedCache<ReadResult>(cacheBudget, maxAge);
  const searches = createBoundedCache<readonly string[]>(cacheBudget, maxAge);
  const versionHints = createBoundedCache<VersionResult>(cacheBudget, maxAge);
  const options: CallOptions = signal === undefined ? {} : { signal };
  const records = createReadRecords(onRead);
  const prefetchQueue = createPrefetchQueue((id) => reads.get(id) !== undefined);

  /** Takes as many prefetched references as the last batch request for `refs` has free places. */
  const takePrefetched = (store: string, refs: readonly SourceRef[]) => {
    const size = batchSizeOf(store);
    const rest = refs.filter(isCurrentSecretRef).length % size;
    return (rest === 0 ? [] : prefetchQueue.take(store, size - rest)).map((ref) => {
      const settle = Promise.withResolvers<ReadResult>();
      void reads.put(refId({ store, ref }), settle.promise, sizeOf);
      return { ref, settle };
    });
  };
  const readBatched = createBatcher<SourceRef, ReadResult>(async (store, refs) => {
    const prefetched = takePrefetched(store, refs);
    const all = [...refs, ...prefetched.map(({ ref }) => ref)];
    const startedAt = now();
    const answers = await readAll(open, store, all, options);
    const tookMs = now() - startedAt;
    const results = all.map(async (ref, index) => {
      const answer = answers[index];
      signal?.throwIfAborted();
      if (answer === undefined) throw new Error('a provider must answer each reference');
      await records.record({ store, ref }, answer, tookMs);
      return answer;
    });
    // The waiting callers of prefetched references get the same result, even an error.
    for (const [index, { settle }] of prefetched.entries())
      results[refs.length + index]?.then(settle.resolve, settle.reject);
    return results.slice(0, refs.length);
  });
  const versionBatched = createBatcher<string, VersionResult>(async (store, keys) => {
    const answers = await versionsOf(open, store, keys, {
      ...options,
      lastReadVersion: lastReadVersion && ((key) => lastReadVersion(store, key)),
    });
    return keys.map(async (_, index) => {
      signal?.throwIfAborted();
      return answers[index] ?? UNKNOWN;
    });
  });
  const search = async (store: string, query: FindQuery): Promise<readonly string[]> => {
    const found = async () => (await open(store)).find(query, options);
    return unlessAborted(found(), signal);
  };

  return {
    prefetch: (refs) =>
      prefetchQueue.add(refs.filter(({ store, ref }) => batchSizeOf(store) > 1 && isCurrentSecretRef(ref))),
    find(store, query) {
      const id = JSON.stringify([store, query.path, Object.entries(query.tags).sort()]);
      return searches.get(id) ?? searches.put(id, search(store, query), sizeOfNames);
    },
    async read(refs) {
      const results = refs.map(async (source): Promise<[string, ReadResult]> => {
        const id = refId(source);
        const cached = reads.get(id);
        if (cached === undefined)
          return [id, await reads.put(id, readBatched(source.store, source.ref), sizeOf)];
        const answer = await cached;
        await records.retryFailed(source, answer);
        return [id, answer];
      });
      return new Map(await Promise.all(results));
    },
    recorded: (refs) => records.wait(refs.map(refId)),
    async versions(store, keys) {
      return Promise.all(
        keys.map((key) => {
          const id = JSON.stringify([store, key]);
          return versionHints.get(id) ?? versionHints.put(id, versionBatched(store, key), () => 0);
        }),
      );
    },
  };
}

interface ReadRecords {
  /** Resolves when the record of a read has its place in the audit log's order. The record may become durable later. */
  record(source: StoreRef, answer: ReadResult, tookMs: number): Promise<void>;
  /**
   * Tries again to write a record that could not be written. A caller needs the result now, and the audit log may work
   * again.
   */
  retryFailed(source: StoreRef, answer: ReadResult): Promise<void>;
  wait(ids: readonly string[]): Promise<void>;
}

/** Tracks records that are pending or could not be written. A read without a written record is not on record. */
function createReadRecords(onRead: ReaderDeps['onRead']): ReadRecords {
  const open = new Map<string, Promise<unknown>>();
  /** The duration of the read, by id. */
  const failed = new Map<string, number>();
  const track = (id: string, durable: Promise<unknown>, tookMs: number): void => {
    failed.delete(id);
    open.set(id, durable);
    // Callers that wait for the record get the error of a failure.
    void Promise.allSettled([durable]).then(([{ status }]) => {
      if (open.get(id) !== durable) return;
      if (status === 'fulfilled') open.delete(id);
      else failed.set(id, tookMs);
    });
  };
  return {
    async record(source, answer, tookMs) {
      const id = refId(source);
      const recording = await onRead(source, answer, tookMs);
      if (recording !== undefined) return track(id, recording.durable, tookMs);
      // The read was already on record, so earlier failures do not matter any more.
      open.delete(id);
      failed.delete(id);
    },
    async retryFailed(source, answer) {
      const id = refId(source);
      const tookMs = failed.get(id);
      if (tookMs === undefined) return;
      const appended = onRead(source, answer, tookMs);
      const durable = appended.then((recording) => recording?.durable);
      track(id, durable, tookMs);
      await Promise.allSettled([appended]);
    },
    async wait(ids) {
      await Promise.all(ids.map(async (id) => open.get(id)));
    },
  };
}

function sizeOfNames(names: readonly string[]): number {
  return names.reduce((sum, name) => sum + 2 * name.length, 0);
}

/** Reads references of one store. If the store cannot be opened, only these references fail. */
async function readAll(
  open: ReaderDeps['open'],
  store: string,
  refs: readonly SourceRef[],
  options: CallOptions,
): Promise<readonly ReadResult[]> {
  const read = async () => (await open(store)).read(refs, options);
  try {
    return await unlessAborted(read(), options.signal);
  } catch (thrown) {
    const error = toAppError(thrown);
    return refs.map(() => ({ kind: 'failed', error }));
  }
}

async function versionsOf(
  open: ReaderDeps['open'],
  store: string,
  keys: readonly string[],
  options: VersionOptions,
): Promise<readonly VersionResult[]> {
  const tell = async () => (await open(store)).versions(keys, options);
  return orElse<readonly VersionResult[]>(unlessAborted(tell(), options.signal), () =>
    keys.map(() => UNKNOWN),
  );
}
