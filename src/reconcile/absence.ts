import type { AuditRecord } from '../audit/entry.ts';
import { type AuditStore, pagesOf } from '../audit/store.ts';
import { objectOf } from '../core/reading.ts';
import { definitionNote, isReadingOf, type ReadSource } from './recall.ts';

export interface AbsencePolicy {
  /** The answers that count: with `softDeletedIsMissing` also that it is deleted but recoverable. */
  readonly codes: readonly string[];
  /** Readings that must all say absent. */
  readonly readings: number;
  /** Least time from the first of them to the last, in milliseconds. */
  readonly overMs: number;
}

const PAGE = 50;

/** Readings of other objects of that name that are passed over. Beyond that nothing is proved. */
const MOST_OTHERS = 2_000;

/**
 * Whether the readings on record prove that a source is gone: the latest ones, without another answer in between,
 * are enough and far enough apart. They are records, so that restarts and one-shot runs count.
 */
export async function isProvenAbsent(
  audit: Pick<AuditStore, 'list'>,
  source: ReadSource,
  definition: string | undefined,
  { codes, readings, overMs }: AbsencePolicy,
): Promise<boolean> {
  let count = 0;
  let latest: number | undefined;
  for await (const { code, note, time } of readingsOf(audit, source)) {
    if (!codes.includes(code ?? '') || note !== definitionNote(definition, objectOf(source))) return false;
    const at = Date.parse(time);
    latest ??= at;
    count += 1;
    if (count >= readings && latest - at >= overMs) return true;
  }
  return false;
}

/** Newest first. */
async function* readingsOf(audit: Pick<AuditStore, 'list'>, source: ReadSource): AsyncGenerator<AuditRecord> {
  const { store, key } = source;
  let others = 0;
  for await (const page of pagesOf(audit, { store, key, action: 'read' }, PAGE)) {
    const own = page.filter((record) => isReadingOf(record, source));
    yield* own;
    others += page.length - own.length;
    if (others > MOST_OTHERS) return;
  }
}
