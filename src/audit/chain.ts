import { hash as digest } from 'node:crypto';
import { type JsonObject, parseAny } from '../core/json.ts';
import type { AuditRecord, Entry } from './entry.ts';
import { sanitizeEntry } from './sanitize-entry.ts';

/** The sequence and the hash of a record, usually of the last record of the chain. */
export interface Head {
  readonly sequence: number;
  readonly hash: string;
}

/** The head of an empty chain. */
export const GENESIS: Head = { sequence: 0, hash: '0'.repeat(64) };

/** The time of a record, and the process that writes it. */
export interface RecordContext {
  /** In RFC 3339 format, in UTC, with milliseconds. */
  readonly time: string;
  readonly instance: string;
  readonly replica: string;
  /** Returns the HMAC of the canonical JSON of a record. Without this function, records have no HMAC. */
  readonly sign?: ((text: string) => string) | undefined;
}

/** A stored record in the form that verification needs. If the record is intact, `hash` is the SHA-256 of `text`. */
export interface StoredRecord {
  /** The canonical JSON of the record without `hash` (`docs/reference/audit-format.md`). */
  readonly text: string;
  readonly hash: string;
  /** Whether the search columns and search tables agree with `text`. */
  readonly columnsMatch: boolean;
}

export interface AppendedRecord {
  readonly record: AuditRecord;
  readonly stored: StoredRecord;
}

/** Builds the record for an entry. The record follows `head` in the chain. */
export function append(head: Head, entry: Entry, circumstances: RecordContext): AppendedRecord {
  return appendSanitized(head, sanitizeEntry(entry), circumstances);
}

/**
 * Does the same as `append`, but expects an entry that `sanitizeEntry` returned. Sanitizing the entry a second time
 * would take as long as hashing it.
 */
export function appendSanitized(head: Head, sanitized: Entry, circumstances: RecordContext): AppendedRecord {
  const { time, instance, replica, sign } = circumstances;
  const unsigned = {
    ...sanitized,
    sequence: head.sequence + 1,
    time,
    instance,
    replica,
    previousHash: head.hash,
  };
  const names = Object.keys(unsigned).sort();
  const middle = names.findIndex((name) => name > 'hmac');
  // Serialize the other members only once. Every record has members before and after `hmac`.
  const start = canonicalMembers(unsigned, names.slice(0, middle));
  const end = canonicalMembers(unsigned, names.slice(middle));
  const hmac = sign?.(`{${start},${end}}`);
  const unhashed = hmac === undefined ? unsigned : { ...unsigned, hmac };
  const text = hmac === undefined ? `{${start},${end}}` : `{${start},"hmac":${canonical(hmac)},${end}}`;
  const hash = hashOf(text);
  return { record: { ...unhashed, hash }, stored: { text, hash, columnsMatch: true } };
}

/** Returns the SHA-256 of the text's UTF-8 bytes, in hex. */
export function hashOf(text: string): string {
  return digest('sha256', text, 'hex');
}

/** Parses a stored record. Returns undefined if the text is damaged. */
export function fromStored(text: string, hash: string): AuditRecord | undefined {
  // The type is correct even if another release wrote the record: releases only add fields, and never change existing
  // ones.
  const record = parseAny(text);
  return typeof record === 'object' && record !== null ? ({ ...record, hash } as AuditRecord) : undefined;
}

/**
 * Converts a record that does not come from a store, such as a line of an export, to the form that verification needs.
 * Keeps unknown fields.
 */
export function toStored(record: object): StoredRecord {
  const { hash, ...rest } = record as { readonly hash?: unknown };
  return { text: canonicalOrEmpty(rest), hash: typeof hash === 'string' ? hash : '', columnsMatch: true };
}

/**
 * Returns the canonical JSON, or an empty string for values that JSON cannot represent. No stored hash matches the
 * empty string, so verification reports such a record as edited.
 */
export function canonicalOrEmpty(value: object): string {
  try {
    return canonical(value);
  } catch (error) {
    if (error instanceof TypeError) return '';
    throw error;
  }
}

/** The maximum nesting depth of a value. Our own records have three levels, so the limit concerns only foreign data. */
const MAX_DEPTH = 16;

/**
 * Serializes a value with the JSON Canonicalization Scheme (RFC 8785). Members are sorted by UTF-16 code units, there
 * is no white space, and numbers and strings are printed as in ECMAScript. Every program that follows the RFC produces
 * the same bytes for the same record.
 *
 * Omits members that are `undefined`. Throws a TypeError for values that JSON cannot represent.
 */
export function canonical(value: unknown, depth = 0): string {
  // Nearly all members of records are sorted already, and `JSON.stringify` is much faster than the code below.
  if (isSorted(value, depth)) return JSON.stringify(value);
  if (depth > MAX_DEPTH) throw new TypeError('nested too deep');
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, depth + 1)).join(',')}]`;
  if (typeof value !== 'object' || value === null) throw new TypeError(`JSON has no ${typeof value}`);
  // `sort` without a comparator orders by UTF-16 code units.
  return `{${canonicalMembers(value, Object.keys(value).sort(), depth)}}`;
}

/** Whether `JSON.stringify` prints the value in its canonical form. */
function isSorted(value: unknown, depth: number): boolean {
  if (depth > MAX_DEPTH) return false;
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object') return false;
  if (Array.isArray(value)) {
    for (const item of value) if (!isSorted(item, depth + 1)) return false;
    return true;
  }
  // Other objects, such as dates, may print themselves differently.
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  let previous = '';
  for (const name of Object.keys(value)) {
    const member = (value as JsonObject)[name];
    if (name < previous || (member !== undefined && !isSorted(member, depth + 1))) return false;
    previous = name;
  }
  return true;
}

/** Serializes the members with these names, separated by commas. */
function canonicalMembers(value: object, names: readonly string[], depth = 0): string {
  let members = '';
  for (const name of names) {
    const member = (value as JsonObject)[name];
    if (member === undefined) continue;
    const separator = members === '' ? '' : ',';
    members += `${separator}${JSON.stringify(name)}:${canonical(member, depth + 1)}`;
  }
  return members;
}
