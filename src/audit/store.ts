import type { TargetId } from '../core/target.ts';
import type { Head, StoredRecord } from './chain.ts';
import type { Action, AuditRecord, Entry, EntryOutcome, ReviewState } from './entry.ts';

/** Filters that combine. An absent one allows everything. */
export interface RecordFilter {
  /** RFC 3339, both ends included. */
  readonly since?: string;
  readonly until?: string;
  /** A kind of actor; any other text is a name. */
  readonly actor?: string;
  readonly mapping?: string;
  readonly namespace?: string;
  readonly secret?: string;
  /** The subject of the record or one of its sources. All three must match the same one. */
  readonly store?: string;
  readonly key?: string;
  readonly version?: string;
  readonly action?: Action;
  readonly phase?: Entry['phase'];
  readonly instance?: string;
  readonly outcome?: EntryOutcome;
  readonly code?: string;
  readonly request?: string;
  /** Matches `before`, `after` or one of the values. */
  readonly fingerprint?: string;
  /** The state from the record's last review; `unreviewed` without a review. */
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
  /** Only records after this sequence, oldest first. Visits each match once, even while others append. */
  readonly after?: number;
}

/** Every failure is AUDIT_UNAVAILABLE, except BUSY_ELSEWHERE for a lock that stays busy. */
export interface AuditStore extends AsyncDisposable {
  /** The location, for messages. */
  readonly address: string;
  /** Durable when it resolves. Stores all entries or none, in order and without gaps in the chain. */
  append(entries: readonly Entry[]): Promise<readonly AuditRecord[]>;
  /** Does all the writes of an append without adding a record. Fails if no record could be stored now. */
  checkWritable(): Promise<void>;
  /** Call with the newest record first. */
  list(filter: RecordFilter, page: Page): Promise<readonly AuditRecord[]>;
  get(sequence: number): Promise<AuditRecord | undefined>;
  /**
   * The last record of a target or source with one of these actions. Callers use it to detect whether a state is new.
   */
  latest(filter: RecordFilter, actions: readonly Action[]): Promise<AuditRecord | undefined>;
  /**
   * Intents without an outcome whose process has ended, that is, crashed between the two. An outcome belongs to the
   * intent with the same request, namespace, secret and attempt. Oldest first, from every instance that writes here.
   * @param isFinished Whether the change of an intent of this process is over.
   */
  unresolvedIntents(isFinished?: (intent: AuditRecord) => boolean): Promise<readonly AuditRecord[]>;
  /** The attempts of a request at a target without an outcome, from all processes, including running ones. */
  openAttempts(requestId: string, target: TargetId): Promise<readonly number[]>;
  /** Each target that was ever created, changed or adopted, once. */
  targets(): Promise<readonly TargetId[]>;
  /**
   * Runs work while no other process runs work with the same name. Waits for the lock; a crash releases it. @throws
   * AppError BUSY_ELSEWHERE after a minute.
   */
  exclusively<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** For verification: the records as stored, oldest first, including damaged ones. */
  storedRecords(from: number): AsyncIterable<StoredRecord>;
  /** For verification: the last record, as stored separately from the records. */
  head(): Promise<Head>;
  /** The record before the first stored one: the genesis, or the last one that `prune` removed. */
  base(): Promise<Head>;
  /** The last review of each of these records, if any. */
  reviews(sequences: readonly number[]): Promise<ReadonlyMap<number, Review>>;
  /**
   * Removes all records up to this one atomically; it must be a record of the chain. `targets` and retained copies
   * stay.
   */
  prune(until: Head): Promise<number>;
  /** For moving a store: imports unchanged records, text and hash, in order. They must follow `base`. */
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
