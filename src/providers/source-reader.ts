import { unlessAborted } from '../core/abort.ts';
import { AppError, toAppError } from '../core/errors.ts';
import { type ReadResult, refId, type StampedVersion, type StoreRef, sizeOf } from '../core/read-result.ts';
import { createBatchedReads, type Run } from './batched-reads.ts';
import { createBatcher } from './batcher.ts';
import type { CallOptions, FindQuery, SecretProvider, VersionResult } from './provider.ts';
import { createReadRecords, type OnRead } from './read-records.ts';
import { failedRead, orElse } from './results.ts';
import {
  type CachedSource,
  createValueCache,
  type Freshness,
  type ValueCacheOptions,
} from './value-cache.ts';

/** Reads sources for one run. */
export interface SourceReader {
  /** Returns results by `refId`. */
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
  expect(refs: readonly StoreRef[]): void;
  /**
   * Returns the current versions of keys, in the order of the keys, to find out which keys must be read. They are
   * `unknown` if the store failed.
   */
  versions(store: string, keys: readonly string[]): Promise<readonly VersionResult[]>;
  /**
   * Returns a newer reader. It also uses answers to earlier requests if they started after this reader was created and
   * after the given time, in milliseconds since 1970.
   */
  since(after: number): SourceReader;
}

/** How one run reads. By default, it uses only answers to requests that start after the reader was created. */
export interface ReaderOptions {
  readonly onRead: OnRead;
  /** Returns the last recorded version of a key that this process has not read yet. */
  readonly lastReadVersion?: (store: string, key: string) => Promise<StampedVersion | undefined>;
  /** If aborted, the reads of this run reject. The requests continue, because other runs may share them. */
  readonly signal?: AbortSignal | undefined;
  /** @throws AppError INTERRUPTED if this run must not read any more. */
  readonly check?: () => void;
}

export interface SourceReaders {
  reader(options: ReaderOptions): SourceReader;
  /** Drops all answers. */
  clear(): void;
}

export interface SourceReadersDeps extends Partial<ValueCacheOptions> {
  /** Returns the provider of a store. Throws if it cannot be set up, for example because its credential is missing. */
  readonly open: (store: string) => Promise<Pick<SecretProvider, 'read' | 'find' | 'versions'>>;
  /** For one-shot commands: aborts all requests. */
  readonly signal?: AbortSignal | undefined;
  /** The number of values that one request to a store can return. Default: 1. */
  readonly batchSizeOf?: (store: string) => number;
}

const UNKNOWN: VersionResult = { kind: 'unknown' };
const STILL_RUNNING = 'its last read timed out, and another read is still running';

/**
 * Creates readers that share answers, so that a key with two hundred targets is read once. References that are
 * requested in the same turn of the event loop are sent to their store together, so that stores can read them in
 * batches.
 *
 * At most one request for a reference runs at a time. If the last one timed out, callers that need a newer answer get
 * TIMEOUT immediately, because each request for a hanging key holds a permit.
 */
export function createSourceReaders(deps: SourceReadersDeps): SourceReaders {
  const { open, batchSizeOf = () => 1, now = Date.now } = deps;
  const options: CallOptions = deps.signal === undefined ? {} : { signal: deps.signal };
  const cache = createValueCache({ ...deps, now });
  const records = createReadRecords();
  const batches = createBatchedReads({ open, options, now, batchSizeOf, cache, records });

  /** Shares answers with other runs, but not their interruption. */
  const share = async <T>(id: string, run: Run, source: CachedSource<T>): Promise<SharedAnswer<T>> => {
    for (;;) {
      run.check();
      let isOwn = false;
      const request = () => {
        isOwn = true;
        return source.request();
      };
      try {
        return { answer: await cache.get(id, run.freshness, { ...source, request }), isOwn };
      } catch (thrown) {
        if (isOwn || toAppError(thrown).code !== 'INTERRUPTED') throw thrown;
      }
    }
  };
  const readOne = async (source: StoreRef, run: Run): Promise<ReadResult> => {
    const { store, ref } = source;
    const id = refId(source);
    const stillRunning = () => failedRead(store, ref.key, new AppError('TIMEOUT', { detail: STILL_RUNNING }));
    const { answer, isOwn } = await share(id, run, {
      request: () => batches.read(store, { ref, run }),
      sizeOf,
      whileBusy: () => (batches.isHanging(id) ? stillRunning() : undefined),
    });
    if (!isOwn) await records.retryFailed(source, answer, run.onRead);
    return answer;
  };
  const search = async (store: string, query: FindQuery, run: Run): Promise<readonly string[]> => {
    const id = JSON.stringify(['find', store, query.path, Object.entries(query.tags).sort()]);
    const request = async () => {
      const provider = await open(store);
      run.check();
      return provider.find(query, options);
    };
    return (await share(id, run, { request, sizeOf: sizeOfNames })).answer;
  };
  const versionBatched = createBatcher<VersionItem, VersionResult>(async (store, items) => {
    const answers = await versionsOf(open, store, items, options);
    return items.map(async (_, index) => answers[index] ?? UNKNOWN);
  });

  const readerFor = (options: ReaderOptions, freshness: Freshness): SourceReader => {
    const { onRead, lastReadVersion, signal } = options;
    const check = () => {
      signal?.throwIfAborted();
      options.check?.();
    };
    const run: Run = { onRead, check, freshness };
    return {
      async read(refs) {
        const reads = refs.map(async (source) => [refId(source), await readOne(source, run)] as const);
        return new Map(await unlessAborted(Promise.all(reads), signal));
      },
      recorded: (refs) => records.wait(refs),
      find: (store, query) => unlessAborted(search(store, query, run), signal),
      expect(refs) {
        for (const { store, ref } of refs) batches.expect(store, { ref, run });
      },
      versions(store, keys) {
        const answers = keys.map((key) => {
          const request = () => versionBatched(store, { key, lastReadVersion, check });
          return cache.get(JSON.stringify(['version', store, key]), freshness, { request, sizeOf: () => 0 });
        });
        return unlessAborted(Promise.all(answers), signal);
      },
      since: (after) => readerFor(options, { mark: cache.mark(), shared: { mark: freshness.mark, after } }),
    };
  };
  return {
    reader: (readerOptions) => readerFor(readerOptions, { mark: cache.mark() }),
    clear() {
      cache.clear();
      batches.clear();
    },
  };
}

interface SharedAnswer<T> {
  readonly answer: T;
  /** Whether this run made the request. */
  readonly isOwn: boolean;
}

interface VersionItem extends Pick<Run, 'check'> {
  readonly key: string;
  readonly lastReadVersion: ReaderOptions['lastReadVersion'];
}

function sizeOfNames(names: readonly string[]): number {
  return names.reduce((sum, name) => sum + 2 * name.length, 0);
}

function versionsOf(
  open: SourceReadersDeps['open'],
  store: string,
  items: readonly VersionItem[],
  options: CallOptions,
): Promise<readonly VersionResult[]> {
  const lastReadVersion = items[0]?.lastReadVersion;
  const lookUp = lastReadVersion && ((key: string) => lastReadVersion(store, key));
  const ask = async () => {
    const provider = await open(store);
    for (const { check } of items) check();
    return provider.versions(
      items.map(({ key }) => key),
      { ...options, lastReadVersion: lookUp },
    );
  };
  return orElse<readonly VersionResult[]>(ask(), () => items.map(() => UNKNOWN));
}
