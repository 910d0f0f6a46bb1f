import { fromStored, type Head, hashOf, type StoredRecord } from '../chain.ts';
import type { AuditRecord } from '../entry.ts';
import { because } from '../failures.ts';
import type { KeptRecord } from '../retention/keepers.ts';
import type { AuditStore } from '../store.ts';

/** What moving a store needs beyond the port (`audit migrate`). */
export interface MovableAudit extends AuditStore {
  /** The copies of what left and still decides something, oldest first. They are before the base. */
  kept(): AsyncIterable<KeptRecord>;
  /** Takes over such copies. */
  keep(records: Iterable<KeptRecord>): Promise<void>;
  /** What is being moved into this store, if anything. While it is set, `append` fails. */
  moving(): Promise<string | undefined>;
  setMoving(what: string | undefined): Promise<void>;
  /** How many processes have it open for writing, this one aside. */
  writers(): Promise<number>;
}

export const MOVING = 'another store is being moved into it: finish that with `secretbridge audit migrate`';
export const NOT_ITS_HEAD = 'the records to take over do not follow its last one';

export interface Linked {
  readonly record: AuditRecord;
  readonly text: string;
}

/** The records, each of which must follow the one before: a broken chain is not carried on. */
export function* linked(records: Iterable<StoredRecord>, base: Head): Generator<Linked> {
  let head = base;
  for (const { text, hash } of records) {
    const record = following({ text, hash }, head);
    if (record === undefined)
      throw because(`record ${head.sequence + 1} does not follow: run \`secretbridge audit verify\``);
    yield { record, text };
    head = record;
  }
}

/** The record, if it is whole and the next one. */
export function following(
  { text, hash }: Pick<StoredRecord, 'text' | 'hash'>,
  head: Head,
): AuditRecord | undefined {
  const record = fromStored(text, hash);
  const follows =
    record?.sequence === head.sequence + 1 && record.previousHash === head.hash && hashOf(text) === hash;
  return follows ? record : undefined;
}
