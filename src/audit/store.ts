import type { TargetId } from '../core/target.ts';
import type { Head, StoredRecord } from './chain.ts';
import type { Action, AuditRecord, Entry, EntryOutcome, ReviewState } from './entry.ts';

/** All given filters must match. An absent member matches everything. */
export interface RecordFilter {
  /** `since` and `until` are RFC 3339 times. Both ends are included. */
  readonly since?: string;
  readonly until?: string;
  /** A kind of actor, or otherwise the name of an actor. */
  readonly actor?: string;
  readonly mapping?: string;
  readonly namespace?: string;
  readonly secret?: string;
  /**
   * `store`, `key` and `version` of the record itself or of one of its sources. All three must match the same source.
   */
  readonly store?: string;
  readonly key?: string;
  readonly version?: string;
  readonly action?: Action;
  readonly phase?: Entry['phase'];
  readonly instance?: string;
  readonly outcome?: EntryOutcome;
  readonly code?: string;
  readonly request?: string;
  /** Matches `before`, `after` or one of `values`. */
  readonly fingerprint?: string;
  /** The state that the record's last review set, or `unreviewed` if there is no review. */
  readonly review?: ReviewState;
}

/** The last review of a record. */
export interface Review {
  readonly state: ReviewState;
  readonly by?: string;
  /** RFC 3339. */
  readonly time: string;
  readonly note?: string;
  /** The sequence of the review itself. */
  readonly sequence: number;
}

export interface Page {
  readonly limit: number;
  /** Only records before this sequence. Default: start at the newest. */
  readonly before?: number;
  /**
   * Only records after this sequence, oldest first. Such pages return each match exactly once, even while other
   * processes append.
   */
  readonly after?: number;
}

/** All failures are AUDIT_UNAVAILABLE, except BUSY_ELSEWHERE for a lock that is not released in time. */
export interface AuditStore extends AsyncDisposable {
  /** The location of the store, for messages. */
  readonly address: string;
  /**
   * Stores all entries or none, in order and without gaps in the chain. The records are durable when the promise
   * resolves.
   */
  append(entries: readonly Entry[]): Promise<readonly AuditRecord[]>;
  /** Performs all writes of an append without adding a record. Fails if a record could not be stored now. */
  checkWritable(): Promise<void>;
  /** Adds one record. Call it with the newest record first. */
  list(filter: RecordFilter, page: Page): Promise<readonly AuditRecord[]>;
  get(sequence: number): Promise<AuditRecord | undefined>;
  /**
   * Returns the last record of a target or source with one of these actions. Callers use it to detect whether a state
   * is new.
   */
  latest(filter: RecordFilter, actions: readonly Action[]): Promise<AuditRecord | undefined>;
  /**
   * Intents without an outcome whose process has ended, which means that it crashed during the change. An outcome
   * belongs to the intent with the same request, namespace, secret and attempt. Returns the oldest first, from every
   * instance that writes to this store.
   * @param isFinished Whether the change of an intent of this process is over.
   */
  unresolvedIntents(isFinished?: (intent: AuditRecord) => boolean): Promise<readonly AuditRecord[]>;
  /** The attempts of a request at a target that have no outcome. Includes all processes, even running ones. */
  openAttempts(requestId: string, target: TargetId): Promise<readonly number[]>;
  /** Each target that was ever created, changed or adopted, without duplicates. */
  targets(): Promise<readonly TargetId[]>;
  /**
   * Waits for the lock with this name, then runs work. A crash releases the lock. @throws AppError BUSY_ELSEWHERE after
   * a minute.
   */
  exclusively<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** For verification: the records as stored, oldest first. Includes damaged records. */
  storedRecords(from: number): AsyncIterable<StoredRecord>;
  /** For verification: the last record, from its own table and not from the records. */
  head(): Promise<Head>;
  /** The record before the first stored one: the last pruned record, or the genesis if nothing was pruned. */
  base(): Promise<Head>;
  /** The last review of each of these records, if any. */
  reviews(sequences: readonly number[]): Promise<ReadonlyMap<number, Review>>;
  /**
   * Removes all records up to this one atomically. It must be a record of the chain. `targets` and retained copies are
   * kept.
   */
  prune(until: Head): Promise<number>;
  /** For moving a store: imports records in order, with unchanged text and hash. They must follow `base`. */
  importRecords(records: Iterable<StoredRecord>, base: Head): Promise<void>;
}

/** Yields all matching records in pages, newest first. The next page is read only when it is requested. */
export async function* pagesOf(
  audit: Pick<AuditStore, 'list'>,
  filter: RecordFilter,
  limit: number,
): AsyncGenerator<readonly AuditRecord[]> {
  for (let before: number | undefined; ; ) {
    const page = await audit.list(filter, { limit, ...(before === undefined ? {} : { before }) });
    yield page;
    before = page.at(-1)?.sequence;
    if (before === undefined || page.length < limit) return;
  }
}
