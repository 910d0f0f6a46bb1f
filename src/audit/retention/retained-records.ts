import { fromStored, type Head, type StoredRecord } from '../chain.ts';
import type { AuditRecord } from '../entry.ts';
import { auditUnavailable, damagedRecord } from '../errors.ts';

/**
 * Returns the slot of a record. Records in one slot describe the same state, so the newest of them replaces the older
 * ones. Pruning keeps a copy of the newest record of each slot, because later decisions depend on it (`latest`).
 * Examples are the last write of a target, a failure that has not ended, the last read of a source, and the last pin.
 * The number of slots is bounded by the number of targets and sources, times their kinds of records.
 */
function slotOf(record: AuditRecord): string {
  const { instance, action, phase, outcome, mapping, namespace, secret, store, key } = record;
  return JSON.stringify([instance, action, phase, outcome, mapping, namespace, secret, store, key]);
}

/** Returns a separate slot for each intent without an outcome, because recovery after a crash must see all of them. */
function intentSlot(sequence: number): string {
  return `open ${sequence}`;
}

export interface RetainedRecord {
  readonly slot: string;
  readonly record: AuditRecord;
  readonly text: string;
}

/**
 * Selects the records to retain when all records up to `until` are pruned. `until` must be a record of the chain.
 * @param stored The records after the base, oldest first.
 * @param open The sequence numbers of the intents without an outcome.
 */
export async function selectRetained(
  stored: AsyncIterable<StoredRecord>,
  open: ReadonlySet<number>,
  until: Head,
): Promise<readonly RetainedRecord[]> {
  const bySlot = new Map<string, RetainedRecord>();
  for await (const { text, hash } of stored) {
    const record = parseStored(text, hash);
    const { sequence } = record;
    const slot = open.has(sequence) ? intentSlot(sequence) : slotOf(record);
    bySlot.set(slot, { slot, record, text });
    if (sequence === until.sequence && hash === until.hash) return [...bySlot.values()];
    if (sequence >= until.sequence) break;
  }
  throw auditUnavailable(PRUNE_POINT_MISSING);
}

export const PRUNE_POINT_MISSING = 'it does not contain the record to prune up to';
export const CONCURRENT_PRUNE = 'another process prunes records at the same time';

/** A retained copy with the text and the hash from its store. */
export interface StoredRetainedRecord extends StoredRecord {
  /** Whether the record is an intent without an outcome. */
  readonly open: boolean;
}

export function toRetained({ text, hash, open }: StoredRetainedRecord): RetainedRecord {
  const record = parseStored(text, hash);
  return { slot: open ? intentSlot(record.sequence) : slotOf(record), record, text };
}

function parseStored(text: string, hash: string): AuditRecord {
  const record = fromStored(text, hash);
  if (record === undefined) throw damagedRecord();
  return record;
}
