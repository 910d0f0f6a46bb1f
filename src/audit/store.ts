import type { TargetId } from '../core/target.ts';
import type { Head, StoredRecord } from './chain.ts';
import type { Action, AuditRecord, Entry, EntryOutcome, ReviewState } from './entry.ts';

/** Filters that combine; an absent one allows everything. */
export interface RecordFilter {
  /** RFC 3339, both ends included. */
  readonly since?: string;
  readonly until?: string;
  /** A kind of actor; anything else is a name. */
  readonly actor?: string;
  readonly mapping?: string;
  readonly namespace?: string;
  readonly secret?: string;
  /** Of what the record is about, or of one of its sources; all three must be those of the same one. */
  readonly store?: string;
  readonly key?: string;
  readonly version?: string;
  readonly action?: Action;
  readonly phase?: Entry['phase'];
  readonly instance?: string;
  readonly outcome?: EntryOutcome;
  readonly code?: string;
  readonly request?: string;
  /** Before or after, or of one of the values. */
  readonly fingerprint?: string;
  /** As the last review of the record says; one that was never reviewed is `unreviewed`. */
  readonly review?: ReviewState;
}

/** What a person said last of a record. */
export interface Review {
  readonly state: ReviewState;
  readonly by?: string;
  /** RFC 3339. */
  readonly time: string;
  readonly note?: string;
  /** Of the review's own record. */
  readonly sequence: number;
}

export interface Page {
  readonly limit: number;
  /** Records before this sequence; the newest when left out. */
  readonly before?: number;
  /** Records behind this sequence, the oldest first: to go through all that fits once, while others append. */
  readonly after?: number;
}

/** Every failure is AUDIT_UNAVAILABLE, but for a turn that does not come. */
export interface AuditStore extends AsyncDisposable {
  /** Where it is, for people. */
  readonly address: string;
  /** Durable when it resolves, all of them or none, in their order and without a gap in the chain. */
  append(entries: readonly Entry[]): Promise<readonly AuditRecord[]>;
  /** Writes all that a record needs but the record: fails where none could be stored now. */
  touch(): Promise<void>;
  /** Newest first. */
  list(filter: RecordFilter, page: Page): Promise<readonly AuditRecord[]>;
  get(sequence: number): Promise<AuditRecord | undefined>;
  /** The last record of a target or of a source among some actions, to tell a new state from a known one. */
  latest(filter: RecordFilter, actions: readonly Action[]): Promise<AuditRecord | undefined>;
  /**
   * Intents without an outcome whose process has ended: a crash between the two. An outcome belongs to the intent
   * of the same request, namespace, secret and attempt. Oldest first, of every instance that writes here.
   * @param isOver Whether the change of an intent of this process is over.
   */
  unresolved(isOver?: (intent: AuditRecord) => boolean): Promise<readonly AuditRecord[]>;
  /**
   * The attempts of a request at a target that have no outcome on record, of all processes, those that run among them.
   */
  openAttempts(requestId: string, target: TargetId): Promise<readonly number[]>;
  /** Each target that was ever created, changed or adopted, once. */
  targets(): Promise<readonly TargetId[]>;
  /**
   * Runs work while nobody else does so under this name, in any process: waits for its turn, and gives it back after a
   * crash. @throws AppError BUSY_ELSEWHERE when the turn does not come in a minute.
   */
  exclusively<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** For proofs: what is stored, as it is stored, oldest first; damaged records too. */
  stored(from: number): AsyncIterable<StoredRecord>;
  /** For proofs: the last record as noted beside the records. */
  head(): Promise<Head>;
  /** What follows is the first record that is still there: the genesis, or the last one that left by `prune`. */
  base(): Promise<Head>;
  /** The last review of each of these records that has one. */
  reviews(sequences: readonly number[]): Promise<ReadonlyMap<number, Review>>;
  /**
   * Lets all records up to this one leave, in one step; it must be a record of the chain. `targets` and what else
   * is not looked up in records stays known.
   */
  prune(until: Head): Promise<number>;
  /** For moving a store: takes over records as they are, text and hash, in their order, into a store that follows `base`. */
  takeOver(records: Iterable<StoredRecord>, base: Head): Promise<void>;
}

/** All records that fit, newest first, so many at a time: whoever has seen enough goes no further. */
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
