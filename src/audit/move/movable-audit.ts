import { fromStored, type Head, hashOf, type StoredRecord } from '../chain.ts';
import type { AuditRecord } from '../entry.ts';
import { auditUnavailable } from '../errors.ts';
import type { StoredRetainedRecord } from '../retention/retained-records.ts';
import type { AuditStore } from '../store.ts';

/** An audit store with the additional operations that `audit migrate` needs. */
export interface MovableAudit extends AuditStore {
  /** The retained copies of pruned records, oldest first. */
  retainedRecords(): AsyncIterable<StoredRetainedRecord>;
  /** Stores retained copies from another store. */
  importRetained(records: Iterable<StoredRetainedRecord>): Promise<void>;
  /**
   * Returns the address of the store whose move into this one is not finished. Returns undefined if there is no such
   * move. During a move, `append` fails.
   */
  moveSource(): Promise<string | undefined>;
  setMoveSource(what: string | undefined): Promise<void>;
  /** Returns how many other processes have the store open for writing. */
  countWriters(): Promise<number>;
}

export const MOVE_IN_PROGRESS =
  'another store is being moved into it: finish the move with `secretbridge audit migrate`';
export const HEAD_MISMATCH = 'the imported records do not follow its last record';

export interface LinkedRecord {
  readonly record: AuditRecord;
  readonly text: string;
}

/** Yields the records. @throws AppError AUDIT_UNAVAILABLE at the first record that does not follow the previous one. */
export function* linkedRecords(records: Iterable<StoredRecord>, base: Head): Generator<LinkedRecord> {
  let head = base;
  for (const { text, hash } of records) {
    const record = nextRecord({ text, hash }, head);
    if (record === undefined)
      throw auditUnavailable(
        `record ${head.sequence + 1} does not follow the previous one: run \`secretbridge audit verify\``,
      );
    yield { record, text };
    head = record;
  }
}

/** Returns the parsed record if it is intact and follows `head`. Returns undefined otherwise. */
export function nextRecord(
  { text, hash }: Pick<StoredRecord, 'text' | 'hash'>,
  head: Head,
): AuditRecord | undefined {
  const record = fromStored(text, hash);
  const follows =
    record?.sequence === head.sequence + 1 && record.previousHash === head.hash && hashOf(text) === hash;
  return follows ? record : undefined;
}
