import { type AuditQuery, isReversedRange, parseInstant, toFilter } from '../audit/query/query.ts';
import type { RecordFilter } from '../audit/store.ts';
import { UsageError } from './usage-error.ts';

/** Parses a point in time with `parseInstant`. @throws UsageError */
export function parseTimeOption(text: string, now: number): string {
  const time = parseInstant(text, now);
  if (time === undefined)
    throw new UsageError(`${JSON.stringify(text)} is not a time: use 7d, 2026-01-31 or 2026-01-31T08:00:00Z`);
  return time;
}

/** Converts the filter options to a record filter. */
export function filterOf(options: AuditQuery, now: number): RecordFilter {
  const filter = toFilter(options, (text) => parseTimeOption(text, now));
  requireTimeOrder(filter);
  return filter;
}

export function requireTimeOrder(times: Pick<RecordFilter, 'since' | 'until'>): void {
  if (isReversedRange(times)) throw new UsageError('--since is later than --until');
}
