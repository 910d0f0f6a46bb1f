import { DURATION, durationMs, isDay } from '../../core/clock.ts';
import type { AuditRecord } from '../entry.ts';
import type { AuditStore, RecordFilter, Review } from '../store.ts';

/** A filter as entered by a person. Times may have any form that `parseInstant` accepts. */
export type AuditQuery = Omit<RecordFilter, 'version' | 'phase' | 'instance' | 'namespaces' | 'attention'>;

/** Which page of the result to return. */
export interface PageRequest {
  /** At least 1. */
  readonly limit: number;
  /** The `next` of the previous page. Default: start with the newest records. */
  readonly cursor?: string | undefined;
}

/** A record with its last review, if any. The review is separate from the hashed record. */
export interface ReviewedRecord extends AuditRecord {
  readonly reviewed?: Review;
}

export interface QueryPage {
  /** The records, newest first. The members of each record are in display order. */
  readonly records: readonly ReviewedRecord[];
  /** The cursor of the next page. Absent on the last page. */
  readonly next?: string;
}

/**
 * Parses a point in time: RFC 3339, a date, or an age (`90m`, `7d`, `1h30m`). Returns RFC 3339 in UTC, or undefined if
 * the text is none of these.
 */
export function parseInstant(text: string, now: number): string | undefined {
  if (DURATION.test(text)) return toText(now - durationMs(text));
  const isTime = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[-+]\d\d:\d\d))?$/.test(text);
  return isTime && isDay(text.slice(0, 10)) ? toText(Date.parse(text)) : undefined;
}

/**
 * Formats a time. Returns undefined if it is more than 8.64e15 ms before or after 1970, because a Date cannot represent
 * it (ECMA-262, time values).
 */
function toText(time: number): string | undefined {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

/** Converts a query to a filter. `instant` parses a time, or throws the error that the caller wants to report. */
export function toFilter(query: AuditQuery, instant: (text: string) => string): RecordFilter {
  const { since, until, actor, mapping, namespace, secret, store, key } = query;
  const { action, outcome, code, request, fingerprint, review } = query;
  const members = {
    ...(since === undefined ? {} : { since: instant(since) }),
    ...(until === undefined ? {} : { until: instant(until) }),
    ...{ actor, mapping, namespace, secret, store, key, action, outcome, code, request, fingerprint, review },
  };
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

/** Whether `since` is after `until`, so that no record can match. The usual cause is that the two were swapped. */
export function isReversedRange({ since, until }: Pick<RecordFilter, 'since' | 'until'>): boolean {
  return since !== undefined && until !== undefined && Date.parse(since) > Date.parse(until);
}

export async function queryRecords(
  audit: Pick<AuditStore, 'list' | 'reviews'>,
  filter: RecordFilter,
  { limit, cursor }: PageRequest,
): Promise<QueryPage> {
  const before = cursor === undefined ? {} : { before: Number(cursor) };
  // Request one record more than the limit, to find out whether there is a next page.
  return pageOf(audit, await audit.list(filter, { limit: limit + 1, ...before }), limit);
}

/** @param matches The matching records, newest first. If there is a next page, there is one match more than `limit`. */
export async function pageOf(
  audit: Pick<AuditStore, 'reviews'>,
  matches: readonly AuditRecord[],
  limit: number,
): Promise<QueryPage> {
  const records = await withReviews(audit, matches.slice(0, limit));
  return matches.length > limit ? { records, next: String(records.at(-1)?.sequence) } : { records };
}

export async function withReviews(
  audit: Pick<AuditStore, 'reviews'>,
  records: readonly AuditRecord[],
): Promise<readonly ReviewedRecord[]> {
  const reviews = await audit.reviews(records.map(({ sequence }) => sequence));
  return records.map((record) => {
    const reviewed = reviews.get(record.sequence);
    return orderMembers(reviewed === undefined ? record : { ...record, reviewed });
  });
}

/** The members of a record in display order. Unknown members of newer releases come last. */
const MEMBER_ORDER = [
  'sequence',
  'time',
  'action',
  'phase',
  'outcome',
  'code',
  'reviewed',
  'mapping',
  'namespace',
  'secret',
  'store',
  'key',
  'actor',
  'note',
  'review',
  'keys',
  'values',
  'sources',
  'counts',
  'count',
  'since',
  'changes',
  'configHash',
  'revision',
  'before',
  'after',
  'resourceVersion',
  'requestId',
  'attempt',
  'durationMs',
  'instance',
  'replica',
  'previousHash',
  'hash',
];

export function orderMembers(record: ReviewedRecord): ReviewedRecord {
  const rank = (name: string): number =>
    MEMBER_ORDER.includes(name) ? MEMBER_ORDER.indexOf(name) : MEMBER_ORDER.length;
  return Object.fromEntries(
    Object.entries(record).sort(([a], [b]) => rank(a) - rank(b)),
  ) as unknown as ReviewedRecord;
}
