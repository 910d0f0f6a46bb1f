import type { TargetId } from '../core/target.ts';
import type { Head, StoredRecord } from './chain.ts';
import type { Action, AuditRecord, Entry, EntryOutcome, ReviewState } from './entry.ts';
import type { RecordIndex } from './record-index.ts';
import type { AuditSummaries } from './summaries.ts';

/** A filter for records. A record must match all members that are present. */
export interface RecordFilter {
  /** `since` and `until` are RFC 3339 times. Both ends are included. */
  readonly since?: string;
  readonly until?: string;
  /** The kind of an actor. Any other text is the name of an actor. */
  readonly actor?: string;
  readonly mapping?: string;
  readonly namespace?: string;
  /**
   * Globs. The record must have a namespace that one of them matches. `*` and `**` match any characters, because names of
   * namespaces contain no `/`.
   */
  readonly namespaces?: readonly string[];
  readonly secret?: string;
  /**
   * The `store`, `key` and `version` of the record itself or of one of its sources. All members that are present must
   * match the same source.
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
  /** Only records that a person should look at (`needsAttention`). */
  readonly attention?: true;
  /** The state that the record's last review set, or `unreviewed` if there is no review. */
  readonly review?: ReviewState;
}

/** The last review of a record. */
export interface Review {
  readonly state: ReviewState;
  readonly by?: string;
  /** In RFC 3339 format. */
  readonly time: string;
  readonly note?: string;
  /** The day on which somebody looks at the record again, as `2026-01-31`. */
  readonly followUp?: string;
  /** The sequence of the review itself. */
  readonly sequence: number;
}

export interface Page {
  readonly limit: number;
  /** Return only records before this sequence. Default: start with the newest record. */
  readonly before?: number;
  /**
   * Return only records after this sequence, oldest first. If each page starts after the last record of the previous
   * page, every match is returned exactly once, even while other processes append.
   */
  readonly after?: number;
}

export interface ScanOptions {
  /** Whether to skip the comparison with search columns, so that `columnsMatch` is always true. */
  readonly textOnly?: boolean;
}

/** The texts of the parts of a configuration, by name. */
export type ConfigurationParts = ReadonlyMap<string, string>;

export interface ConfigurationChange {
  /** The hash of the configuration that the change starts from. Undefined if all parts are replaced. */
  readonly from: string | undefined;
  /** The hash of the new configuration. */
  readonly hash: string;
  /** The name and the text of each new or changed part. */
  readonly parts: Iterable<readonly [string, string]>;
  /** The names of the parts to remove. */
  readonly removed: readonly string[];
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
  /** Returns a page of the records that match, newest first. With `page.after`, oldest first. */
  list(filter: RecordFilter, page: Page): Promise<readonly AuditRecord[]>;
  get(sequence: number): Promise<AuditRecord | undefined>;
  /**
   * Returns the newest matching record with one of these actions, or else the newest matching copy of a pruned record.
   * Callers use this method to find out whether a state is already recorded.
   * @param before Ignore this sequence and later ones.
   */
  latest(filter: RecordFilter, actions: readonly Action[], before?: number): Promise<AuditRecord | undefined>;
  /**
   * Returns the intents without an outcome whose process has ended, oldest first. Such a process crashed during the
   * change. An outcome belongs to the intent with the same request, namespace, Secret and attempt. The outcome of a
   * restart belongs to the intent of a restart. The result includes intents of every instance that writes to this store.
   * @param isFinished Whether this process has ended its own change that belongs to the intent.
   */
  unresolvedIntents(isFinished?: (intent: AuditRecord) => boolean): Promise<readonly AuditRecord[]>;
  /**
   * Returns the numbers of a request's attempts to write a target that have no outcome. Includes the attempts of all
   * processes, even of running ones.
   */
  openAttempts(requestId: string, target: TargetId): Promise<readonly number[]>;
  /** Returns each target that was ever created, changed or adopted, without duplicates. */
  targets(): Promise<readonly TargetId[]>;
  /**
   * Waits for the lock with this name, then runs work. A crash releases the lock. @throws AppError BUSY_ELSEWHERE after
   * a minute.
   */
  exclusively<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** For verification: yields the records as stored, oldest first. Includes damaged records. */
  storedRecords(from: number, options?: ScanOptions): AsyncIterable<StoredRecord>;
  /**
   * Returns the last record according to a separate table, so that verification can compare it with the stored records.
   */
  head(): Promise<Head>;
  /**
   * Returns the record before the first stored one: the last pruned record, or the start of the chain if nothing was
   * pruned.
   */
  base(): Promise<Head>;
  /** Returns the hash of the configuration that `keepConfiguration` stored last for this instance. */
  keptConfiguration(instance: string): Promise<string | undefined>;
  /**
   * Returns the parts of the configuration that was stored last for this instance. Nothing protects them, so compare
   * their hash with a record.
   */
  configuration(instance: string): Promise<ConfigurationParts>;
  /**
   * Stores what has changed in the configuration of an instance.
   *
   * @returns Whether the stored configuration was the one that the change starts from. If not, nothing is stored.
   */
  keepConfiguration(instance: string, change: ConfigurationChange): Promise<boolean>;
  /** Returns the last review of each of these records, if any. */
  reviews(sequences: readonly number[]): Promise<ReadonlyMap<number, Review>>;
  /** Finds records that belong together. */
  readonly index: RecordIndex;
  readonly summaries: AuditSummaries;
  /**
   * Removes all records up to `until` in one step. `until` must be a record of the chain. The result of `targets` does
   * not change, and copies of some records are retained.
   */
  prune(until: Head): Promise<number>;
  /**
   * For moving a store: imports records in order, with unchanged text and hash. The first record must follow `base`.
   */
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
