import type { AuditRecord } from '../audit/entry.ts';
import { type AuditStore, pagesOf } from '../audit/store.ts';
import { objectTypeOf, refId, type StoreRef } from '../core/read-result.ts';
import { isReadOf } from './last-read-version.ts';

/** Which reads prove that a source is absent: at least `readings` of them, over at least `overMs`. */
export interface AbsenceRule {
  readonly readings: number;
  /** At least `deletionLagMs`. */
  readonly overMs: number;
  /** The minimum time between two reads. The store may be late to show that a deleted key can be recovered. */
  readonly deletionLagMs: number;
}

/** The rule for a new target without an optional source: a second read confirms the absence. */
export function confirmationRule({ deletionLagMs }: AbsenceRule): Pick<AbsenceRule, 'readings' | 'overMs'> {
  return { readings: 2, overMs: deletionLagMs };
}

/** How often a source could not be read, and since when. */
export interface FailureSpan {
  readonly count: number;
  readonly since: string;
}

type Failed = Pick<AuditRecord, 'time' | 'count' | 'since'>;

/** Counts the failed reads of each source. For ended processes, uses the count in the last record. */
export class FailureCounts {
  readonly #spans = new Map<string, FailureSpan>();

  /** Counts a failed read. @param previous The last recorded read, if it failed. */
  add(source: StoreRef, previous: Failed | undefined, now: number): FailureSpan {
    const before = this.#spanOf(source, previous) ?? { count: 0, since: new Date(now).toISOString() };
    const span = { ...before, count: before.count + 1 };
    this.#spans.set(refId(source), span);
    return span;
  }

  /** Returns the failure that a successful read ends, and forgets it. */
  end(source: StoreRef, previous: Failed | undefined): FailureSpan | undefined {
    const span = this.#spanOf(source, previous);
    this.#spans.delete(refId(source));
    return span;
  }

  #spanOf(source: StoreRef, previous: Failed | undefined): FailureSpan | undefined {
    if (previous === undefined) return undefined;
    const recorded = { count: previous.count ?? 1, since: previous.since ?? previous.time };
    const counted = this.#spans.get(refId(source));
    // Another process may have recorded the end of the counted failure, and the beginning of another one.
    return counted?.since === recorded.since && counted.count > recorded.count ? counted : recorded;
  }
}

const PAGE = 20;
/** The maximum number of skipped records. They are about other objects or versions with the same name. */
const MAX_UNRELATED_RECORDS = 200;

/**
 * Whether a reading of an absence adds to its proof or to its confirmation. The first `readings` do, and the first one
 * after `overMs`. Other readings are counted, but get no record.
 */
export async function addsToProof(
  audit: Pick<AuditStore, 'list'>,
  { store, ref }: StoreRef,
  reading: { readonly code: string; readonly note: string; readonly at: number },
  rule: AbsenceRule,
): Promise<boolean> {
  if (!Number.isFinite(rule.readings)) return true;
  let open = [rule, ...(rule.deletionLagMs > 0 ? [confirmationRule(rule)] : [])];
  const source = { object: objectTypeOf(ref), version: ref.version };
  let count = 0;
  let newest: number | undefined;
  let oldest = reading.at;
  let unrelated = 0;
  search: for await (const page of pagesOf(audit, { store, key: ref.key, action: 'read' }, PAGE))
    for (const record of page) {
      if (!isReadOf(record, source)) {
        unrelated += 1;
        // Record too much rather than search too long.
        if (unrelated > MAX_UNRELATED_RECORDS) return true;
        continue;
      }
      if (record.code !== reading.code || record.note !== reading.note) break search;
      oldest = Date.parse(record.time);
      newest ??= oldest;
      count += 1;
      const spanMs = newest - oldest;
      open = open.filter(({ readings, overMs }) => count < readings || spanMs < overMs);
      if (open.length === 0) return false;
    }
  return open.some(({ readings, overMs }) => count < readings || reading.at - oldest >= overMs);
}
