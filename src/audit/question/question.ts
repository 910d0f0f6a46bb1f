import { DURATION, durationMs } from '../../core/duration.ts';
import type { AuditRecord } from '../entry.ts';
import type { AuditStore, RecordFilter, Review } from '../store.ts';

/** What a person asks of the records: a filter, where a time may be anything that `parseInstant` takes. */
export type Question = Omit<RecordFilter, 'version' | 'phase' | 'instance'>;

/** Where in the answer to be, in the words of the contract. */
export interface Position {
  /** From 1. */
  readonly limit: number;
  /** The `next` of the page before; the newest records when left out. */
  readonly cursor?: string | undefined;
}

/** A record with what a person said of it last; nobody has: `unreviewed`. That is no part of what is hashed. */
export interface ShownRecord extends AuditRecord {
  readonly reviewed?: Review;
}

export interface Answer {
  /** Newest first, members in the order in which people ask for them. */
  readonly records: readonly ShownRecord[];
  /** The cursor of the page after, if there is one. */
  readonly next?: string;
}

/**
 * A point in time: RFC 3339, a date, or how long ago (`90m`, `7d`, `1h30m`). Gives RFC 3339 in UTC; `undefined`: it is
 * none of these.
 */
export function parseInstant(text: string, now: number): string | undefined {
  if (DURATION.test(text)) return toText(now - durationMs(text));
  const isTime = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[-+]\d\d:\d\d))?$/.test(text);
  return isTime && isDay(text.slice(0, 10)) ? toText(Date.parse(text)) : undefined;
}

/** `Date.parse` makes 2 March of 30 February. */
function isDay(day: string): boolean {
  return toText(Date.parse(day))?.startsWith(day) ?? false;
}

/** A date holds no more than 8.64e15 ms to either side of 1970 (ECMA-262, time values). */
function toText(time: number): string | undefined {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

/** The question as a filter; `instant` reads a time, and throws what its caller's readers understand. */
export function toFilter(question: Question, instant: (text: string) => string): RecordFilter {
  const { since, until, actor, mapping, namespace, secret, store, key } = question;
  const { action, outcome, code, request, fingerprint, review } = question;
  const given = {
    ...(since === undefined ? {} : { since: instant(since) }),
    ...(until === undefined ? {} : { until: instant(until) }),
    ...{ actor, mapping, namespace, secret, store, key, action, outcome, code, request, fingerprint, review },
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** Whether a time ends before it begins, so that no record could ever fit: mostly the two were exchanged. */
export function isBackwards({ since, until }: Pick<RecordFilter, 'since' | 'until'>): boolean {
  return since !== undefined && until !== undefined && Date.parse(since) > Date.parse(until);
}

export async function answer(
  audit: Pick<AuditStore, 'list' | 'reviews'>,
  filter: RecordFilter,
  { limit, cursor }: Position,
): Promise<Answer> {
  const before = cursor === undefined ? {} : { before: Number(cursor) };
  // One more than asked for tells whether there is a next page.
  return pageOf(audit, await audit.list(filter, { limit: limit + 1, ...before }), limit);
}

/** @param found Newest first, at least one more than `limit` if there are more. */
export async function pageOf(
  audit: Pick<AuditStore, 'reviews'>,
  found: readonly AuditRecord[],
  limit: number,
): Promise<Answer> {
  const records = await withReviews(audit, found.slice(0, limit));
  return found.length > limit ? { records, next: String(records.at(-1)?.sequence) } : { records };
}

export async function withReviews(
  audit: Pick<AuditStore, 'reviews'>,
  records: readonly AuditRecord[],
): Promise<readonly ShownRecord[]> {
  const reviews = await audit.reviews(records.map(({ sequence }) => sequence));
  return records.map((record) => {
    const reviewed = reviews.get(record.sequence);
    return ordered(reviewed === undefined ? record : { ...record, reviewed });
  });
}

/** The members of a record in the order in which people ask for them; what a newer release added comes last. */
const ORDER = [
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

export function ordered(record: ShownRecord): ShownRecord {
  const rank = (name: string): number => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  return Object.fromEntries(
    Object.entries(record).sort(([a], [b]) => rank(a) - rank(b)),
  ) as unknown as ShownRecord;
}
