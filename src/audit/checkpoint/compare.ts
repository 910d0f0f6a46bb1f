import { fromStored, type Head, type StoredRecord } from '../chain.ts';
import type { AuditStore } from '../store.ts';
import type { Checkpoint } from './checkpoint.ts';
import { type PublicKeys, signatureOf } from './signing.ts';

export type ComparedStore = Pick<AuditStore, 'storedRecords' | 'base' | 'head'>;

export interface Comparison {
  readonly newest: Checkpoint | undefined;
  /** Checkpoints that are newer than `newest`, but have an invalid signature or an unknown key. */
  readonly untrusted: readonly Checkpoint[];
  /**
   * Whether the store lacks the record of `newest`: either the chain is shorter, or it has a different record at this
   * sequence.
   */
  readonly contradicts: boolean;
}

/** Compares the newest trusted checkpoint with the store. Reads only one record. */
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

// Checkpoints are ordered by their times: the signer ensures that each time is later than the one before. Sequence
// numbers give no order, because they repeat after a person accepts a loss (`accepts`).

export interface NewestCheckpoint {
  /** The checkpoint that must agree with the store. */
  readonly checkpoint: Checkpoint | undefined;
  /** Checkpoints that are newer than `checkpoint`, but have an invalid signature or an unknown key. */
  readonly untrusted: readonly Checkpoint[];
}

/**
 * Returns the trusted checkpoint with the highest sequence since the last acceptance of a loss. Verifies few
 * signatures: a checkpoint covers all earlier records, so earlier checkpoints need no check.
 */
export function newestTrusted(checkpoints: readonly Checkpoint[], keys: PublicKeys): NewestCheckpoint {
  const untrusted: Checkpoint[] = [];
  const isTrusted = (checkpoint: Checkpoint): boolean => {
    const good = signatureOf(checkpoint, keys) === 'good';
    if (!good) untrusted.push(checkpoint);
    return good;
  };
  const byTime = checkpoints.toSorted((a, b) => compareTime(b, a));
  const lastAcceptance = byTime.find((candidate) => candidate.accepts !== undefined && isTrusted(candidate));
  const candidates = byTime.filter(
    (candidate) => lastAcceptance === undefined || compareTime(candidate, lastAcceptance) >= 0,
  );
  const checkpoint = candidates.toSorted((a, b) => b.sequence - a.sequence).find(isTrusted);
  return { checkpoint, untrusted: [...new Set(untrusted)] };
}

/** Returns the highest base that a trusted checkpoint signs. Verifies few signatures. */
export function signedBase(checkpoints: readonly Checkpoint[], keys: PublicKeys): Head | undefined {
  const { base } =
    checkpoints
      .filter((checkpoint) => checkpoint.base !== undefined)
      .toSorted((a, b) => (b.base?.sequence ?? 0) - (a.base?.sequence ?? 0) || compareTime(b, a))
      .find((checkpoint) => signatureOf(checkpoint, keys) === 'good') ?? {};
  return base && { sequence: base.sequence, hash: base.previousHash };
}

/**
 * Whether a person accepted the loss of the records that this checkpoint proves. The caller must have checked that the
 * checkpoints in `accepting` agree with the chain.
 */
export function isAccepted(checkpoint: Checkpoint, accepting: readonly Checkpoint[]): boolean {
  return accepting.some(
    (acceptance) =>
      acceptance.accepts !== undefined &&
      checkpoint.sequence <= acceptance.accepts &&
      compareTime(checkpoint, acceptance) < 0,
  );
}

export function compareTime(a: Checkpoint, b: Checkpoint): number {
  return Date.parse(a.time) - Date.parse(b.time);
}
