import { fromStored, type Head, type StoredRecord } from '../chain.ts';
import type { AuditStore } from '../store.ts';
import type { Checkpoint } from './checkpoint.ts';
import { newestOf } from './order.ts';
import type { PublicKeys } from './signing.ts';

export type ComparedStore = Pick<AuditStore, 'stored' | 'base' | 'head'>;

export interface Comparison {
  readonly newest: Checkpoint | undefined;
  /** Signed wrongly or by a key that is not known, and newer than what counts. */
  readonly untrusted: readonly Checkpoint[];
  /** The store does not hold what the newest one proves: it ends before, or goes on otherwise. */
  readonly contradicts: boolean;
}

/** The newest checkpoint that can be trusted against the store, by one look at one record. */
export async function compare(
  store: ComparedStore,
  checkpoints: readonly Checkpoint[],
  keys: PublicKeys,
): Promise<Comparison> {
  const { checkpoint: newest, untrusted } = newestOf(checkpoints, keys);
  return { newest, untrusted, contradicts: newest !== undefined && !(await holds(store, newest)) };
}

/** Whether the chain of the store goes through this record. What has left the store by now is taken for held. */
export async function holds(store: ComparedStore, { sequence, hash }: Head): Promise<boolean> {
  const base = await store.base();
  if (sequence <= base.sequence) return sequence < base.sequence || hash === base.hash;
  const found = await firstOf(store.stored(sequence));
  return (
    found !== undefined && found.hash === hash && fromStored(found.text, found.hash)?.sequence === sequence
  );
}

async function firstOf(records: AsyncIterable<StoredRecord>): Promise<StoredRecord | undefined> {
  for await (const record of records) return record;
  return undefined;
}
