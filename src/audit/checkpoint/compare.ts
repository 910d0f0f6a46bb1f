import { fromStored, type Head, type StoredRecord } from '../chain.ts';
import type { AuditStore } from '../store.ts';
import type { Checkpoint } from './checkpoint.ts';
import { newestTrusted } from './order.ts';
import type { PublicKeys } from './signing.ts';

export type ComparedStore = Pick<AuditStore, 'storedRecords' | 'base' | 'head'>;

export interface Comparison {
  readonly newest: Checkpoint | undefined;
  /** Checkpoints newer than `newest` with an invalid signature or an unknown key. */
  readonly untrusted: readonly Checkpoint[];
  /**
   * Whether the store lacks the record of `newest`: either the chain is shorter, or it has a different record at this
   * sequence.
   */
  readonly contradicts: boolean;
}

/** Compares the newest trusted checkpoint with the store. Reads one record. */
export async function compareWithStore(
  store: ComparedStore,
  checkpoints: readonly Checkpoint[],
  keys: PublicKeys,
): Promise<Comparison> {
  const { checkpoint: newest, untrusted } = newestTrusted(checkpoints, keys);
  return { newest, untrusted, contradicts: newest !== undefined && !(await containsRecord(store, newest)) };
}

/** Whether the chain in the store contains this record. Pruned records count as contained. */
export async function containsRecord(store: ComparedStore, { sequence, hash }: Head): Promise<boolean> {
  const base = await store.base();
  if (sequence <= base.sequence) return sequence < base.sequence || hash === base.hash;
  const stored = await firstOf(store.storedRecords(sequence));
  return (
    stored !== undefined &&
    stored.hash === hash &&
    fromStored(stored.text, stored.hash)?.sequence === sequence
  );
}

async function firstOf(records: AsyncIterable<StoredRecord>): Promise<StoredRecord | undefined> {
  for await (const record of records) return record;
  return undefined;
}
