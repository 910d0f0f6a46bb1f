import type { AuditStore } from '../audit/store.ts';
import type { Source } from '../core/mapping.ts';
import { absenceNote } from './recorder.ts';

export interface AbsencePolicy {
  /** The answers that count: with `softDeletedIsMissing` also that it is deleted but recoverable. */
  readonly codes: readonly string[];
  /** Readings that must all say absent. */
  readonly readings: number;
  /** Least time from the first of them to the last, in milliseconds. */
  readonly overMs: number;
}

const PAGE = 50;

/**
 * Whether the readings on record prove that a source is gone: the latest ones, without another answer in between,
 * are enough and far enough apart. They are records, so that restarts and one-shot runs count.
 */
export async function isProvenAbsent(
  audit: Pick<AuditStore, 'list'>,
  { store, key }: Pick<Source, 'store' | 'key'>,
  definition: string | undefined,
  { codes, readings, overMs }: AbsencePolicy,
): Promise<boolean> {
  let count = 0;
  let latest: number | undefined;
  for (let before: number | undefined; ; ) {
    const page = await audit.list(
      { store, key, action: 'read' },
      { limit: PAGE, ...(before === undefined ? {} : { before }) },
    );
    for (const { code, note, time } of page) {
      if (!codes.includes(code ?? '') || note !== absenceNote(definition)) return false;
      const at = Date.parse(time);
      latest ??= at;
      count += 1;
      if (count >= readings && latest - at >= overMs) return true;
    }
    before = page.at(-1)?.sequence;
    if (before === undefined || page.length < PAGE) return false;
  }
}
