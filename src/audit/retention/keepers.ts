import { fromStored, type Head, type StoredRecord } from '../chain.ts';
import type { AuditRecord } from '../entry.ts';
import { because, damagedRecord } from '../failures.ts';

/**
 * What a record is the last one of. When records leave, of each slot the newest stays known beside the chain, since
 * states are decided by it: the last write of a target, the failure that has not ended, the last reading of a
 * source, the last word on a pin, whoever asks (`latest`). There are no more of them than targets and sources have
 * kinds of records.
 */
function slotOf(record: AuditRecord): string {
  const { instance, action, phase, outcome, mapping, namespace, secret, store, key } = record;
  return JSON.stringify([instance, action, phase, outcome, mapping, namespace, secret, store, key]);
}

/** An intent without its outcome decides what is looked at after a crash, however many there are of its kind. */
function openSlot(sequence: number): string {
  return `open ${sequence}`;
}

export interface Keeper {
  readonly slot: string;
  readonly record: AuditRecord;
  readonly text: string;
}

/**
 * What stays known of the records from one behind the base up to another, which must be a record of the chain.
 * @param stored What comes behind the base, oldest first.
 * @param open The intents among them that have no outcome.
 */
export async function keepersOf(
  stored: AsyncIterable<StoredRecord>,
  open: ReadonlySet<number>,
  until: Head,
): Promise<readonly Keeper[]> {
  const bySlot = new Map<string, Keeper>();
  for await (const { text, hash } of stored) {
    const record = readableText(text, hash);
    const { sequence } = record;
    const slot = open.has(sequence) ? openSlot(sequence) : slotOf(record);
    bySlot.set(slot, { slot, record, text });
    if (sequence === until.sequence && hash === until.hash) return [...bySlot.values()];
    if (sequence >= until.sequence) break;
  }
  throw because(NOT_THERE);
}

export const NOT_THERE = 'the record up to which others should leave is not in it';
export const AT_ONCE = 'another process lets records leave at the same time';

/** A copy as another store has it. */
export interface KeptRecord extends StoredRecord {
  /** An intent without an outcome. */
  readonly open: boolean;
}

export function keeperOf({ text, hash, open }: KeptRecord): Keeper {
  const record = readableText(text, hash);
  return { slot: open ? openSlot(record.sequence) : slotOf(record), record, text };
}

function readableText(text: string, hash: string): AuditRecord {
  const record = fromStored(text, hash);
  if (record === undefined) throw damagedRecord();
  return record;
}
