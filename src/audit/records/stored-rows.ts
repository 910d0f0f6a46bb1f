import { fromStored, type StoredRecord } from '../chain.ts';
import type { AuditRecord } from '../entry.ts';
import { auditUnavailable, damagedRecord } from '../errors.ts';
import type { Query } from './database.ts';
import * as queries from './queries.ts';
import { reviewChange, reviewedQuery, reviewMatches } from './reviews.ts';
import {
  BLOCK,
  columnsMatchRecord,
  type FingerprintRow,
  type RecordRow,
  type SourceRow,
  type SpanRow,
} from './tables.ts';

export interface StoredRow extends StoredRecord {
  readonly sequence: number;
}

/** A request for a range of records, oldest first. */
export interface Chunk {
  readonly from: number;
  /** Whether this chunk continues an earlier one. */
  readonly isContinuation: boolean;
  readonly limit: number;
  /** Whether to skip the search rows. */
  readonly textOnly: boolean;
}

const PRUNED_DURING_READ = 'records were pruned during the read: try again';

/**
 * Reads records and their search rows, in one snapshot. In each record, `columnsMatch` is true if the search columns and
 * tables agree with the text.
 */
export async function readChunk(
  query: Query,
  { from, isContinuation, limit, textOnly }: Chunk,
): Promise<readonly StoredRow[]> {
  const base = (await query(queries.baseQuery))[0]?.sequence ?? 0;
  if (isContinuation && from <= base) throw auditUnavailable(PRUNED_DURING_READ);
  const rows = await query(queries.scanQuery(Math.max(from, base + 1), limit));
  if (textOnly)
    return rows.map(({ sequence, record: text, hash }) => ({ sequence, text, hash, columnsMatch: true }));
  const first = rows[0]?.sequence ?? from;
  const last = rows.at(-1)?.sequence ?? from;
  const bySequence = <Row extends { readonly sequence: number }>(found: readonly Row[]) =>
    Map.groupBy(found, ({ sequence }) => sequence);
  const sources = bySequence(await query(queries.sourcesQuery(first, last)));
  const fingerprints = bySequence(await query(queries.fingerprintsQuery(first, last)));
  const reviewRows = bySequence(await query(queries.reviewRowsQuery(first, last)));
  const reviewed = bySequence(await query(reviewedQuery(reviewedSequences(rows))));
  const spans = new Map((await query(queries.spansQuery(first, last))).map((span) => [span.block, span]));
  return rows.map((row) => {
    const { sequence, record: text, hash } = row;
    const record = fromStored(text, hash);
    const beside = {
      sources: sources.get(sequence) ?? [],
      fingerprints: fingerprints.get(sequence) ?? [],
      span: spans.get(Math.floor(sequence / BLOCK)),
    };
    if (record === undefined || !rowMatches(row, beside, record))
      return { sequence, text, hash, columnsMatch: false };
    const reviewRow = reviewRows.get(sequence)?.[0];
    const about = reviewed.get(reviewChange(record)?.sequence ?? 0)?.[0];
    const review = fromStored(reviewRow?.record ?? '', reviewRow?.hash ?? '');
    return { sequence, text, hash, columnsMatch: reviewMatches(record, { row: reviewRow, review, about }) };
  });
}

interface SearchRows {
  readonly sources: readonly SourceRow[];
  readonly fingerprints: readonly FingerprintRow[];
  /** The earliest and the latest time in the block that contains this record. */
  readonly span: SpanRow | undefined;
}

function rowMatches(
  row: RecordRow,
  { sources, fingerprints, span }: SearchRows,
  record: AuditRecord,
): boolean {
  try {
    const isTimed = span !== undefined && span.since <= record.time && record.time <= span.until;
    return isTimed && columnsMatchRecord(row, sources, fingerprints, record);
  } catch (error) {
    // A member has an unexpected type, which means that the text was edited.
    if (error instanceof TypeError) return false;
    throw error;
  }
}

/** Returns the sequence numbers of the records that the reviews in `rows` refer to. */
function reviewedSequences(rows: readonly RecordRow[]): readonly number[] {
  return rows.flatMap(({ action, record: text, hash }) => {
    if (action !== 'review') return [];
    const record = fromStored(text, hash);
    const change = record && reviewChange(record);
    return change === undefined ? [] : [change.sequence];
  });
}

/**
 * Returns a parser for rows. The error for a damaged record contains the store's address. The sequence is that of the
 * row: a text that was copied into another row is then not authentic (`record-keys.ts`).
 */
export function recordParser(address: string) {
  return ({ sequence, record: text, hash }: queries.RecordText): AuditRecord => {
    const record = fromStored(text, hash);
    if (record !== undefined) return { ...record, sequence };
    throw damagedRecord().withSubject(`audit store ${address}`);
  };
}
