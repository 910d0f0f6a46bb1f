import { fromStored, type StoredRecord } from '../chain.ts';
import type { AuditRecord } from '../entry.ts';
import { damagedRecord } from '../failures.ts';
import { isFacetSo, reviewChange } from './reviews.ts';
import {
  BLOCK,
  type FacetRow,
  isIndexed,
  type RecordRow,
  type SourceRow,
  type SpanRow,
  type ValueRow,
} from './tables.ts';

export interface StoredRow extends StoredRecord {
  readonly sequence: number;
}

/** What one look at a store finds beside a run of records. */
export interface Beside {
  readonly sources: readonly SourceRow[];
  /** Undefined: an older schema. */
  readonly values: readonly ValueRow[] | undefined;
  /** Of the records themselves, and of those that reviews among them are about; undefined: an older schema. */
  readonly facets: readonly FacetRow[] | undefined;
  readonly spans: readonly SpanRow[];
  /** The reviews that those rows name. */
  readonly named: readonly { readonly sequence: number; readonly record: string; readonly hash: string }[];
}

/** Rows as they are proved: with whether what they are searched by says the same as their text. */
export function provable(rows: readonly RecordRow[], beside: Beside): readonly StoredRow[] {
  const sources = Map.groupBy(beside.sources, ({ sequence }) => sequence);
  const values = beside.values && Map.groupBy(beside.values, ({ sequence }) => sequence);
  const spans = new Map(beside.spans.map((span) => [span.block, span]));
  const facets = beside.facets && new Map(beside.facets.map((row) => [row.sequence, row]));
  const named = new Map(
    beside.named.map(({ sequence, record, hash }) => [sequence, fromStored(record, hash)]),
  );
  return rows.map((found) => {
    const { sequence, record: text, hash } = found;
    const record = fromStored(text, hash);
    const own = { sources: sources.get(sequence) ?? [], values: values && (values.get(sequence) ?? []) };
    if (record === undefined || !agrees(found, own, record)) return { sequence, text, hash, indexed: false };
    if (facets === undefined) return { sequence, text, hash, indexed: true };
    const row = facets.get(sequence);
    const review = named.get(row?.review ?? 0);
    const about = facets.get(reviewChange(record)?.sequence ?? 0);
    const span = spans.get(Math.floor(sequence / BLOCK));
    const isTimed = span !== undefined && span.since <= record.time && record.time <= span.until;
    return { sequence, text, hash, indexed: isTimed && isFacetSo(record, { row, review, about }) };
  });
}

function agrees(
  row: RecordRow,
  { sources, values }: Pick<Beside, 'sources' | 'values'>,
  record: AuditRecord,
): boolean {
  try {
    return isIndexed(row, sources, values, record);
  } catch (error) {
    // A member is of another type than ours, so the text was edited.
    if (error instanceof TypeError) return false;
    throw error;
  }
}

export const LEFT_MEANWHILE = 'records left while they were read: begin again';

/** The records that reviews among these are about. */
export function reviewedIn(rows: readonly RecordRow[]): readonly number[] {
  return rows.flatMap(({ action, record: text, hash }) => {
    if (action !== 'review') return [];
    const record = fromStored(text, hash);
    const change = record && reviewChange(record);
    return change === undefined ? [] : [change.sequence];
  });
}

/** Rows as records; a damaged one is a failure of the store at this address. */
export function readable(address: string) {
  return ({ record: text, hash }: { readonly record: string; readonly hash: string }): AuditRecord => {
    const record = fromStored(text, hash);
    if (record !== undefined) return record;
    throw damagedRecord().concerning(`audit store ${address}`);
  };
}
