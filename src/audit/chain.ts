import { hash as hashed } from 'node:crypto';
import { parseAny } from '../core/json.ts';
import { canonical } from './canonical.ts';
import type { AuditRecord, Entry } from './entry.ts';
import { plainEntry } from './plain-entry.ts';

/** The last record so far. */
export interface Head {
  readonly sequence: number;
  readonly hash: string;
}

/** Before the first record. */
export const GENESIS: Head = { sequence: 0, hash: '0'.repeat(64) };

/** When and by whom a record is written. */
export interface Circumstances {
  /** RFC 3339, UTC, milliseconds. */
  readonly time: string;
  readonly instance: string;
  readonly replica: string;
}

/** A record as a store keeps it and as it is proved: `hash` is the SHA-256 of the bytes of `text`. */
export interface StoredRecord {
  /** The canonical JSON of the record without `hash` (`docs/reference/audit-format.md`). */
  readonly text: string;
  readonly hash: string;
  /** Whether what a store keeps beside the text, to search by, says the same as the text. */
  readonly indexed: boolean;
}

export interface Appended {
  readonly record: AuditRecord;
  readonly stored: StoredRecord;
}

/** The entry as the record that follows `head`. */
export function append(head: Head, entry: Entry, circumstances: Circumstances): Appended {
  return appendPlain(head, plainEntry(entry), circumstances);
}

/** The same of what `plainEntry` gave: to make it once more costs as much as to hash it. */
export function appendPlain(head: Head, plain: Entry, circumstances: Circumstances): Appended {
  const { time, instance, replica } = circumstances;
  const unhashed = {
    ...plain,
    sequence: head.sequence + 1,
    time,
    instance,
    replica,
    previousHash: head.hash,
  };
  const text = canonical(unhashed);
  const hash = hashOf(text);
  return { record: { ...unhashed, hash }, stored: { text, hash, indexed: true } };
}

/** SHA-256 of the text's UTF-8 bytes, in hex. */
export function hashOf(text: string): string {
  return hashed('sha256', text, 'hex');
}

/** A record out of a store; undefined when its text is damaged. */
export function fromStored(text: string, hash: string): AuditRecord | undefined {
  // What this release did not write itself, an older or newer one did: fields are added, never changed.
  const record = parseAny(text);
  return typeof record === 'object' && record !== null ? ({ ...record, hash } as AuditRecord) : undefined;
}

/** A record as it came from somewhere else, unknown fields included, in the form in which it is proved. */
export function toStored(record: object): StoredRecord {
  const { hash, ...rest } = record as { readonly hash?: unknown };
  return { text: canonicalOrNothing(rest), hash: typeof hash === 'string' ? hash : '', indexed: true };
}

/** No hash of ours is that of the empty text: what JSON cannot hold is found as edited. */
export function canonicalOrNothing(value: object): string {
  try {
    return canonical(value);
  } catch (error) {
    if (error instanceof TypeError) return '';
    throw error;
  }
}
