import { fromStored, type StoredRecord } from '../chain.ts';
import type { AuditRecord } from '../entry.ts';
import { damagedRecord } from '../errors.ts';
import { facetMatches, reviewChange } from './reviews.ts';
import {
  BLOCK,
  columnsMatchRecord,
  type FacetRow,
  type RecordRow,
  type SourceRow,
  type SpanRow,
  type ValueRow,
} from './tables.ts';

export interface StoredRow extends StoredRecord {
  readonly sequence: number;
}

/** The search table rows of a range of records, read in one snapshot. */
export interface SearchRows {
  readonly sources: readonly SourceRow[];
  /** Undefined for an older schema, which has no values. */
  readonly values: readonly ValueRow[] | undefined;
  /** The facets of the records, and of the records that their reviews refer to. Undefined for an older schema. */
  readonly facets: readonly FacetRow[] | undefined;
  readonly spans: readonly SpanRow[];
  /** The review records that the facet rows refer to. */
  readonly named: readonly { readonly sequence: number; readonly record: string; readonly hash: string }[];
}

/** Returns the records. `columnsMatch` is true if the search columns and tables agree with the text. */
export function checkSearchRows(rows: readonly RecordRow[], searchRows: SearchRows): readonly StoredRow[] {
  const sources = Map.groupBy(searchRows.sources, ({ sequence }) => sequence);
  const values = searchRows.values && Map.groupBy(searchRows.values, ({ sequence }) => sequence);
  const spans = new Map(searchRows.spans.map((span) => [span.block, span]));
  const facets = searchRows.facets && new Map(searchRows.facets.map((row) => [row.sequence, row]));
  const named = new Map(
    searchRows.named.map(({ sequence, record, hash }) => [sequence, fromStored(record, hash)]),
  );
  return rows.map((recordRow) => {
    const { sequence, record: text, hash } = recordRow;
    const record = fromStored(text, hash);
    const searchTableRows = {
      sources: sources.get(sequence) ?? [],
      values: values && (values.get(sequence) ?? []),
    };
    if (record === undefined || !rowMatches(recordRow, searchTableRows, record))
      return { sequence, text, hash, columnsMatch: false };
    if (facets === undefined) return { sequence, text, hash, columnsMatch: true };
    const row = facets.get(sequence);
    const review = named.get(row?.review ?? 0);
    const about = facets.get(reviewChange(record)?.sequence ?? 0);
    const span = spans.get(Math.floor(sequence / BLOCK));
    const isTimed = span !== undefined && span.since <= record.time && record.time <= span.until;
    return { sequence, text, hash, columnsMatch: isTimed && facetMatches(record, { row, review, about }) };
  });
}

function rowMatches(
  row: RecordRow,
  { sources, values }: Pick<SearchRows, 'sources' | 'values'>,
  record: AuditRecord,
): boolean {
  try {
    return columnsMatchRecord(row, sources, values, record);
  } catch (error) {
    // A member has an unexpected type, which means that the text was edited.
    if (error instanceof TypeError) return false;
    throw error;
  }
}

export const PRUNED_DURING_READ = 'records were pruned during the read: try again';

/** The sequence numbers of the records that the reviews in `rows` refer to. */
export function reviewedSequences(rows: readonly RecordRow[]): readonly number[] {
  return rows.flatMap(({ action, record: text, hash }) => {
    if (action !== 'review') return [];
    const record = fromStored(text, hash);
    const change = record && reviewChange(record);
    return change === undefined ? [] : [change.sequence];
  });
}

/** Returns a parser for rows. The error for a damaged record contains the store's address. */
export function recordParser(address: string) {
  return ({ record: text, hash }: { readonly record: string; readonly hash: string }): AuditRecord => {
    const record = fromStored(text, hash);
    if (record !== undefined) return record;
    throw damagedRecord().withSubject(`audit store ${address}`);
  };
}
