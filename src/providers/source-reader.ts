import { unlessAborted } from '../core/abort.ts';
import { AppError, toAppError } from '../core/errors.ts';
import { type ReadResult, refId, type StampedVersion, type StoreRef, sizeOf } from '../core/read-result.ts';
import { BatchedReads, type Run } from './batched-reads.ts';
import { createBatcher } from './batcher.ts';
import type { CallOptions, FindQuery, SecretProvider, VersionResult } from './provider.ts';
import { createReadRecords, type OnRead } from './read-records.ts';
import { failedRead, orElse } from './results.ts';
import {
  type CachedSource,
  createValueCache,
  type Freshness,
  type ValueCache,
  type ValueCacheOptions,
} from './value-cache.ts';

/** Reads sources for one run. */
export interface SourceReader {
  /** Returns the results by `refId`. */
  read(refs: readonly StoreRef[]): Promise<ReadonlyMap<string, ReadResult>>;
  /**
   * Resolves when the latest reads of these references are durable in the audit log. A caller must not act on a read
   * before that.
   */
  recorded(refs: readonly StoreRef[]): Promise<void>;
  /**
   * Returns the full keys that a search finds, sorted. Equal searches share one result, even if this result is a
   * failure.
   */
  find(store: string, query: FindQuery): Promise<readonly string[]>;
  /**
   * Announces references that will be needed later, in about this order. They get free places in batch requests for
   * other references. When the first of them are needed, the next ones are requested in full batches.
   *
   * @param isSoon Whether these references are needed before the others.
   */
  expect(refs: readonly StoreRef[], isSoon?: boolean): void;
  /**
   * Returns the current versions of keys, in the order of the keys. The versions show which keys must be read. If the
   * store failed, all versions are `unknown`.
   */
  versions(store: string, keys: readonly string[]): Promise<readonly VersionResult[]>;
  /**
   * Returns a reader for newer answers. The returned reader uses answers to its own requests. It also uses answers to
   * other requests, if they started after the original reader was created and after the given time, in milliseconds
   * since 1970.
   */
  since(after: number): SourceReader;
}

/** Says how one run reads. By default, a run uses only answers to requests that start after its reader was created. */
export interface ReaderOptions {
  readonly onRead: OnRead;
  /** Returns the last recorded version of a key that this process has not read yet. */
  readonly lastReadVersion?: (store: string, key: string) => Promise<StampedVersion | undefined>;
  /**
   * When this signal is aborted, the reads of this run reject. The requests continue, because other runs may share
   * them.
   */
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
  /**
   * Returns the provider of a store. Rejects if the provider cannot be set up, for example because its credential is
   * missing.
   */
  readonly open: (store: string) => Promise<Pick<SecretProvider, 'read' | 'find' | 'versions'>>;
  /** Aborts all requests. */
  readonly signal?: AbortSignal | undefined;
  /** The number of values that one request to a store can return. Default: 1. */
  readonly batchSizeOf?: (store: string) => number;
}

const UNKNOWN: VersionResult = { kind: 'unknown' };
const STILL_RUNNING = 'its last read timed out, and another read is still running';

/**
 * Creates readers that share answers. So a key is read only once, even if two hundred targets use it. The references of
 * one turn of the event loop are sent to their store together, so that the store can read them in batches.
 *
 * For each reference, at most one request runs at a time. If the last request timed out and another one is still
 * running, callers get TIMEOUT immediately if they need a newer answer. Otherwise each request for a hanging key would
 * hold a permit.
 */
export function createSourceReaders(deps: SourceReadersDeps): SourceReaders {
  const requests = new SharedRequests(deps);
  return {
    reader: (options) => readerOf(requests, options, { mark: requests.cache.mark() }),
    clear: () => requests.clear(),
  };
}

function readerOf(requests: SharedRequests, options: ReaderOptions, freshness: Freshness): SourceReader {
  const { onRead, lastReadVersion, signal } = options;
  const check = () => {
    signal?.throwIfAborted();
    options.check?.();
  };
  const run: Run = { onRead, check, freshness };
  return {
    async read(refs) {
      const reads = refs.map(async (source) => [refId(source), await requests.read(source, run)] as const);
      return new Map(await unlessAborted(Promise.all(reads), signal));
    },
    recorded: (refs) => requests.records.wait(refs),
    find: (store, query) => unlessAborted(requests.find(store, query, run), signal),
    expect(refs, isSoon) {
      for (const source of refs) requests.batches.expect({ source, run }, isSoon);
    },
    versions: (store, keys) =>
      unlessAborted(requests.versions(store, { keys, lastReadVersion, check }), signal),
    since: (after) =>
      readerOf(requests, options, { mark: requests.cache.mark(), shared: { mark: freshness.mark, after } }),
  };
}

/** The requests of all readers, and the answers to them. */
class SharedRequests {
  readonly cache: ValueCache;
  readonly records = createReadRecords();
  readonly batches: BatchedReads;
  readonly #open: SourceReadersDeps['open'];
  readonly #options: CallOptions;
  /**
   * Sends the checks of one turn of the event loop together. The answers are not cached: a sweep checks tens of thousands
   * of keys, and no other run needs them.
   */
  readonly versions = createBatcher<VersionCheck, readonly VersionResult[]>(async (store, checks) => {
    const known = await orElse(this.#versionsOf(store, checks), () => new Map<string, VersionResult>());
    return checks.map(async ({ keys }) => keys.map((key) => known.get(key) ?? UNKNOWN));
  });

  constructor(deps: SourceReadersDeps) {
    const { open, signal, batchSizeOf = () => 1, now = Date.now } = deps;
    this.#open = open;
    this.#options = signal === undefined ? {} : { signal };
    this.cache = createValueCache({ ...deps, now });
    const { cache, records } = this;
    this.batches = new BatchedReads({ open, options: this.#options, now, batchSizeOf, cache, records });
  }

  clear(): void {
    this.cache.clear();
    this.batches.clear();
  }

  async read(source: StoreRef, run: Run): Promise<ReadResult> {
    const { store, ref } = source;
    const id = refId(source);
    this.batches.need(store, id, run);
    const stillRunning = () => failedRead(store, ref.key, new AppError('TIMEOUT', { detail: STILL_RUNNING }));
    const { answer, isOwn } = await this.#share(id, run, {
      request: () => this.batches.read({ source, run }),
      sizeOf,
      whileBusy: () => (this.batches.isHanging(id) ? stillRunning() : undefined),
    });
    if (!isOwn) await this.records.retryFailed(source, answer, run.onRead);
    return answer;
  }

  async find(store: string, query: FindQuery, run: Run): Promise<readonly string[]> {
    const id = JSON.stringify(['find', store, query.path, Object.entries(query.tags).sort()]);
    const request = async () => {
      const provider = await this.#open(store);
      run.check();
      return provider.find(query, this.#options);
    };
    return (await this.#share(id, run, { request, sizeOf: sizeOfNames })).answer;
  }

  async #versionsOf(
    store: string,
    checks: readonly VersionCheck[],
  ): Promise<ReadonlyMap<string, VersionResult>> {
    const lastReadVersion = checks[0]?.lastReadVersion;
    const lookUp = lastReadVersion && ((key: string) => lastReadVersion(store, key));
    const provider = await this.#open(store);
    for (const { check } of checks) check();
    const keys = [...new Set(checks.flatMap((one) => one.keys))];
    const results = await provider.versions(keys, { ...this.#options, lastReadVersion: lookUp });
    return new Map(keys.map((key, index) => [key, results[index] ?? UNKNOWN]));
  }

  /** Shares answers with other runs. If the run that made the request is interrupted, makes the request again. */
  async #share<T>(id: string, run: Run, source: CachedSource<T>): Promise<SharedAnswer<T>> {
    for (;;) {
      run.check();
      let isOwn = false;
      const request = () => {
        isOwn = true;
        return source.request();
      };
      try {
        return { answer: await this.cache.get(id, run.freshness, { ...source, request }), isOwn };
      } catch (thrown) {
        if (isOwn || toAppError(thrown).code !== 'INTERRUPTED') throw thrown;
      }
    }
  }
}

interface SharedAnswer<T> {
  readonly answer: T;
  /** Whether this run made the request. */
  readonly isOwn: boolean;
}

interface VersionCheck extends Pick<Run, 'check'> {
  readonly keys: readonly string[];
  readonly lastReadVersion: ReaderOptions['lastReadVersion'];
}

function sizeOfNames(names: readonly string[]): number {
  return names.reduce((sum, name) => sum + 2 * name.length, 0);
}
