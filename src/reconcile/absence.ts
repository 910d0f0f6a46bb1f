import { findLastBreak } from '../audit/decisions.ts';
import type { AuditRecord } from '../audit/entry.ts';
import { type AuditStore, pagesOf } from '../audit/store.ts';
import { objectTypeOf } from '../core/read-result.ts';
import { definitionNote, isReadOf, type ReadSource } from './last-read-version.ts';

export interface AbsencePolicy {
  /**
   * The error codes of a read that count as an absence. With `softDeletedIsMissing`, they include the code of deleted
   * but recoverable secrets.
   */
  readonly codes: readonly string[];
  /** The number of consecutive reads that must find the source absent. */
  readonly readings: number;
  /** The minimum time between the first and the last of these reads, in milliseconds. */
  readonly overMs: number;
}

const PAGE = 50;

/**
 * At most this many records of reads are skipped because they concern other objects or versions with the same name. If
 * there are more, the absence is not proved.
 */
const MAX_UNRELATED_RECORDS = 2_000;

type AuditReader = Pick<AuditStore, 'list' | 'storedRecords' | 'head'>;

/**
 * Whether the recorded reads prove that a source is gone. The latest reads must all have found it absent. There must be
 * at least `readings` such reads, and the first and the last must be at least `overMs` apart. Reads of earlier
 * processes and of one-shot runs count too, because they are in the audit.
 */
export async function isProvenAbsent(
  audit: AuditReader,
  source: ReadSource,
  definition: string | undefined,
  { codes, readings, overMs }: AbsencePolicy,
): Promise<boolean> {
  const note = definitionNote(definition, objectTypeOf(source));
  const isAbsence = (read: AuditRecord): boolean => codes.includes(read.code ?? '') && read.note === note;
  let count = 0;
  let latest: number | undefined;
  for await (const read of readRecordsOf(audit, source)) {
    if (!isAbsence(read)) return false;
    const readAt = Date.parse(read.time);
    latest ??= readAt;
    count += 1;
    if (count >= readings && latest - readAt >= overMs)
      return isUncontradicted(audit, source, read.sequence, isAbsence);
  }
  return false;
}

/** Whether no record was removed or hidden since the first absence, and no read since then found the source. */
async function isUncontradicted(
  audit: AuditReader,
  source: ReadSource,
  from: number,
  isAbsence: (read: AuditRecord) => boolean,
): Promise<boolean> {
  let isContradicted = false;
  const broken = await findLastBreak(audit, from, (record) => {
    const { action, store, key } = record;
    const isRead = action === 'read' && store === source.store && key === source.key;
    if (isRead && isReadOf(record, source) && !isAbsence(record)) isContradicted = true;
  });
  return broken === undefined && !isContradicted;
}

/** Yields the records of a source's reads, the newest first. */
async function* readRecordsOf(
  audit: Pick<AuditStore, 'list'>,
  source: ReadSource,
): AsyncGenerator<AuditRecord> {
  const { store, key } = source;
  let unrelated = 0;
  for await (const page of pagesOf(audit, { store, key, action: 'read' }, PAGE)) {
    const matching = page.filter((record) => isReadOf(record, source));
    yield* matching;
    unrelated += page.length - matching.length;
    if (unrelated > MAX_UNRELATED_RECORDS) return;
  }
}
