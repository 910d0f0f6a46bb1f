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

/**
 * Whether the recorded reads prove that a source is gone. The latest reads must all have found it absent. There must be
 * at least `readings` such reads, and the first and the last must be at least `overMs` apart. Reads of earlier
 * processes and of one-shot runs count too, because they are in the audit.
 */
export async function isProvenAbsent(
  audit: Pick<AuditStore, 'list'>,
  source: ReadSource,
  definition: string | undefined,
  { codes, readings, overMs }: AbsencePolicy,
): Promise<boolean> {
  let count = 0;
  let latest: number | undefined;
  for await (const { code, note, time } of readRecordsOf(audit, source)) {
    if (!codes.includes(code ?? '') || note !== definitionNote(definition, objectTypeOf(source)))
      return false;
    const readAt = Date.parse(time);
    latest ??= readAt;
    count += 1;
    if (count >= readings && latest - readAt >= overMs) return true;
  }
  return false;
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
