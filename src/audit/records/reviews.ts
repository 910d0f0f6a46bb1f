import { fromStored } from '../chain.ts';
import type { AuditRecord } from '../entry.ts';
import type { Review } from '../store.ts';
import type { Query } from './database.ts';
import { isOneOf, joined, sql } from './sql.ts';
import type { RecordRow, ReviewRow } from './tables.ts';

/** Returns the review state that a record sets for an earlier record. A review of a review has no effect. */
export function reviewChange({ action, review, sequence }: AuditRecord): ReviewRow | undefined {
  // The text may have been edited, so its members may have any type.
  if (action !== 'review' || !Number.isSafeInteger(review?.sequence)) return undefined;
  if (review === undefined || review.sequence >= sequence) return undefined;
  return { sequence: review.sequence, state: review.state, review: sequence };
}

/** Converts the record of a review to the form that people see. */
export function reviewOf({ sequence, review, actor, time, note }: AuditRecord): Review | undefined {
  if (review === undefined) return undefined;
  return {
    state: review.state,
    ...(actor.name === undefined ? {} : { by: actor.name }),
    time,
    ...(note === undefined ? {} : { note }),
    ...(review.followUp === undefined ? {} : { followUp: review.followUp }),
    sequence,
  };
}

/** Saves the review states that these reviews set. The records of the reviews must be inserted before. */
export async function saveReviews(query: Query, reviews: readonly AuditRecord[]): Promise<void> {
  const last = new Map<number, ReviewRow>();
  for (const record of reviews) {
    const change = reviewChange(record);
    if (change !== undefined) last.set(change.sequence, change);
  }
  if (last.size === 0) return;
  const rows = [...last.values()].map(
    ({ sequence, state, review }) =>
      sql`(cast(${sequence} as bigint), cast(${state} as text), cast(${review} as bigint))`,
  );
  await query(sql`insert into record_reviews (sequence, state, review)
    select column1, column2, column3 from (values ${joined(rows, ', ')}) as new
      join records on records.sequence = column1 and records.action <> 'review' where 1 = 1
    on conflict (sequence) do update set state = excluded.state, review = excluded.review`);
}

const PAGE = 500;

/**
 * Deletes search rows that have no record. Such rows remain if somebody has cut off the end of the log. After a person
 * accepts the loss, these rows would collide with new records. If the last review of a record was cut off, the record
 * gets its previous review state.
 */
export async function deleteOrphanRows(query: Query): Promise<void> {
  const [{ last: end } = { last: 0 }] = await query(sql<{ last: number }>`select max(sequence) as last from (
    select sequence from head union all select coalesce(max(sequence), 0) from records) ends`);
  for (const table of [
    ...['record_sources', 'record_fingerprints', 'record_reviews', 'open_intents'],
    ...['record_notes', 'source_versions'],
  ])
    await query({ text: `delete from ${table} where sequence > ?`, values: [end] });
  const orphans = await query(
    sql<{ sequence: number }>`select sequence from record_reviews where review > ${end}`,
  );
  if (orphans.length === 0) return;
  await query(sql`delete from record_reviews where review > ${end}`);
  const lost = new Set(orphans.map(({ sequence }) => sequence));
  for (let after = 0; ; ) {
    const page = await query(sql<
      Pick<RecordRow, 'sequence' | 'record' | 'hash'>
    >`select sequence, record, hash
      from records where action = 'review' and sequence > ${after} order by sequence limit ${PAGE}`);
    const reviews = page.flatMap(({ record, hash }) => fromStored(record, hash) ?? []);
    await saveReviews(
      query,
      reviews.filter((record) => lost.has(reviewChange(record)?.sequence ?? 0)),
    );
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    after = last.sequence;
  }
}

/** The review row of a record, and the records with which the row must agree. */
export interface ReviewContext {
  /** The review row of the record, if it exists. */
  readonly row: ReviewRow | undefined;
  /** The review to which the row refers. */
  readonly review: AuditRecord | undefined;
  /** If the record is a review: the reviewed record, with the sequence of its last review. */
  readonly about: ReviewedRow | undefined;
}

export interface ReviewedRow {
  readonly sequence: number;
  readonly action: string;
  readonly review: number | null;
}

/** Selects the reviewed records with these sequence numbers, each with the sequence of its last review. */
export const reviewedQuery = (sequences: readonly number[]) =>
  sql<ReviewedRow>`select records.sequence, action, review
    from records left join record_reviews on record_reviews.sequence = records.sequence
    where ${isOneOf('records.sequence', sequences)}`;

/**
 * Whether the review row of a record agrees with the chain. The row must refer to an existing review, and no later
 * review of the same record may exist.
 */
export function reviewMatches(record: AuditRecord, { row, review, about }: ReviewContext): boolean {
  const isOutdated =
    about !== undefined && about.action !== 'review' && (about.review ?? 0) < record.sequence;
  if (reviewChange(record) !== undefined && isOutdated) return false;
  if (row === undefined) return true;
  const named = review && reviewChange(review);
  const isNamed =
    named?.sequence === record.sequence && named.state === row.state && named.review === row.review;
  return isNamed && record.action !== 'review';
}
