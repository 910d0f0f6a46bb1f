import { LRUCache } from 'lru-cache';
import { toAppError } from '../core/errors.ts';
import { isCurrentSecretRef, type ReadResult, refId, type StoreRef, sizeOf } from '../core/read-result.ts';
import { createBatcher } from './batcher.ts';
import { CALL_SKIPPED } from './breaker.ts';
import type { CallOptions, SecretProvider } from './provider.ts';
import type { OnRead, ReadRecords } from './read-records.ts';
import type { Freshness, ValueCache } from './value-cache.ts';

/** A reference to read, and the run that reads it. */
export interface ReadItem {
  readonly source: StoreRef;
  readonly run: Run;
}

/** The properties of a run that its reads use. */
export interface Run {
  readonly onRead: OnRead;
  readonly freshness: Freshness;
  /** @throws AppError INTERRUPTED if this run must not read any more. */
  readonly check: () => void;
}

export interface BatchedReadsDeps {
  readonly open: (store: string) => Promise<Pick<SecretProvider, 'read'>>;
  readonly options: CallOptions;
  readonly now: () => number;
  readonly batchSizeOf: (store: string) => number;
  readonly cache: ValueCache;
  readonly records: ReadRecords;
}

/** The maximum number of hanging references to remember. */
const MAX_HANGING = 10_000;
/** The number of batches that are requested before a run needs them. With more, a first sync is no faster. */
const BATCHES_AHEAD = 3;

/**
 * An announced reference that a request now includes. If other callers request the reference meanwhile, they get the
 * same answer.
 */
interface TakenItem {
  readonly source: StoreRef;
  readonly settle: PromiseWithResolvers<ReadResult>;
}

export class BatchedReads {
  readonly #deps: BatchedReadsDeps;
  readonly #hanging = new LRUCache<string, true>({ max: MAX_HANGING });
  /** The announced reads of each store, by `refId`: first the ones that are needed soon, then all others. */
  readonly #expected = new Map<
    string,
    readonly [soon: Map<string, ReadItem>, later: Map<string, ReadItem>]
  >();
  /** For each store, the announced reads that were requested ahead and that no run has needed yet, by `refId`. */
  readonly #ahead = new Map<string, Set<string>>();
  readonly #readBatched = createBatcher<ReadItem, ReadResult>((...call) => this.#readTogether(...call));
  /**
   * Hanging references have their own batches. A batch returns nothing until all of its references are answered, so a
   * hanging reference would delay the others.
   */
  readonly #readHanging = createBatcher<ReadItem, ReadResult>((...call) => this.#readTogether(...call));

  constructor(deps: BatchedReadsDeps) {
    this.#deps = deps;
  }

  /**
   * Reads and records a reference. Its batch contains the references that are requested in the same turn of the event
   * loop.
   */
  read(item: ReadItem): Promise<ReadResult> {
    const { store } = item.source;
    const isHanging = this.isHanging(refId(item.source));
    return isHanging ? this.#readHanging(store, item) : this.#readBatched(store, item);
  }

  /**
   * Announces a read. It gets a free place in a batch of other reads, or a place in a full batch of announced reads. So
   * it causes no additional request.
   *
   * @param isSoon Whether the read comes before the reads that are not needed soon.
   */
  expect(item: ReadItem, isSoon = false): void {
    const { store, ref } = item.source;
    if (this.#deps.batchSizeOf(store) === 1 || !isCurrentSecretRef(ref)) return;
    const id = refId(item.source);
    const [soon, later] = this.#expected.get(store) ?? [
      new Map<string, ReadItem>(),
      new Map<string, ReadItem>(),
    ];
    this.#expected.set(store, [soon, later]);
    if (isSoon) later.delete(id);
    (isSoon ? soon : later).set(id, item);
  }

  /**
   * Says that a run needs the reference with this `refId` now. If the reference was announced, requests the next announced reads, so that
   * the next runs need not wait for them.
   */
  need(store: string, id: string, run: Run): void {
    const size = this.#deps.batchSizeOf(store);
    const ahead = this.#ahead.get(store) ?? new Set<string>();
    const wasAnnounced = this.#expectNoMore(store, id);
    if (!ahead.delete(id) && !wasAnnounced) return;
    this.#ahead.set(store, ahead);
    // Request full batches only. The last announced reads get free places in batches of other reads.
    while (ahead.size <= size * (BATCHES_AHEAD - 1) && this.#expectedCount(store) >= size) {
      const taken = this.#takeExpected(store, size);
      if (taken.length === 0) return;
      for (const { source } of taken) ahead.add(refId(source));
      void Promise.allSettled([this.#request(store, [], taken, run)]);
    }
  }

  /** Whether the last read of the reference with this `refId` timed out. */
  isHanging(id: string): boolean {
    return this.#hanging.has(id);
  }

  /** Forgets announced reads. */
  clear(): void {
    this.#expected.clear();
    this.#ahead.clear();
  }

  async #readTogether(store: string, items: readonly ReadItem[]): Promise<readonly Promise<ReadResult>[]> {
    const [first] = items;
    if (first === undefined) return [];
    // The request is split into batches, and the last batch may have free places.
    const count = items.filter(({ source }) => isCurrentSecretRef(source.ref)).length;
    const size = this.#deps.batchSizeOf(store);
    const free = (size - (count % size)) % size;
    return this.#request(store, items, this.#takeExpected(store, free), first.run);
  }

  /** @param run The run that causes the request. It records the announced reads. */
  async #request(
    store: string,
    items: readonly ReadItem[],
    taken: readonly TakenItem[],
    run: Run,
  ): Promise<readonly Promise<ReadResult>[]> {
    const { now } = this.#deps;
    const startedAt = now();
    const all = [...items, ...taken.map(({ source }) => ({ source, run }))];
    const answers = await this.#readAll(store, all);
    const tookMs = now() - startedAt;
    const results = all.map((item, index) => this.#conclude(item, answers[index], tookMs));
    // If a caller waits for an announced reference, it gets the result of the read, even if the result is an error.
    for (const [index, { settle }] of taken.entries())
      results[items.length + index]?.then(settle.resolve, settle.reject);
    return results.slice(0, items.length);
  }

  /** Removes up to `count` reads from the announced reads and returns them. Skips those that need no request. */
  #takeExpected(store: string, count: number): readonly TakenItem[] {
    const { cache } = this.#deps;
    const taken: TakenItem[] = [];
    for (const reads of this.#expected.get(store) ?? [])
      for (const [id, { source, run }] of reads) {
        if (taken.length >= count) return taken;
        reads.delete(id);
        // A hanging reference would delay the others.
        if (this.isHanging(id) || cache.has(id, run.freshness)) continue;
        const settle = Promise.withResolvers<ReadResult>();
        taken.push({ source, settle });
        const answer = cache.get(id, run.freshness, { request: () => settle.promise, sizeOf });
        void Promise.allSettled([answer]);
      }
    return taken;
  }

  /** Returns whether the read was announced. */
  #expectNoMore(store: string, id: string): boolean {
    return this.#expected.get(store)?.some((reads) => reads.delete(id)) === true;
  }

  #expectedCount(store: string): number {
    const [soon, later] = this.#expected.get(store) ?? [];
    return (soon?.size ?? 0) + (later?.size ?? 0);
  }

  /**
   * Reads references of one store. If the store cannot be opened, only these references fail. Does not read the
   * references of interrupted runs: after a change of the configuration, the same name may mean another store.
   */
  async #readAll(store: string, items: readonly ReadItem[]): Promise<readonly (ReadResult | undefined)[]> {
    const { open, options } = this.#deps;
    try {
      const provider = await open(store);
      const allowed = items.filter(({ run }) => isAllowed(run));
      const refs = allowed.map(({ source }) => source.ref);
      const answers = await provider.read(refs, options);
      const byItem = new Map(allowed.map((item, index) => [item, answers[index]]));
      return items.map((item) => byItem.get(item));
    } catch (thrown) {
      const error = toAppError(thrown);
      return items.map(() => ({ kind: 'failed', error }));
    }
  }

  async #conclude(
    { source, run }: ReadItem,
    answer: ReadResult | undefined,
    tookMs: number,
  ): Promise<ReadResult> {
    run.check();
    if (answer === undefined) throw new Error('a provider must answer each reference');
    if (isUnanswered(answer)) this.#hanging.set(refId(source), true);
    else this.#hanging.delete(refId(source));
    await this.#deps.records.record(source, answer, tookMs, run.onRead);
    // The process is stopping. This is not an answer of the store, so no target may fail because of it.
    if (answer.kind === 'failed' && answer.error.code === 'INTERRUPTED') throw answer.error;
    return answer;
  }
}

function isUnanswered(result: ReadResult): boolean {
  return result.kind === 'failed' && result.error.code === 'TIMEOUT' && result.error.detail !== CALL_SKIPPED;
}

function isAllowed({ check }: Run): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (toAppError(error).code === 'INTERRUPTED') return false;
    throw error;
  }
}
