import type { AuditRecord, ReviewState } from '../entry.ts';
import type { Review } from '../store.ts';
import { type FacetRow, facetRow, sameRow } from './tables.ts';

/** What a review says of a record. */
export interface ReviewChange {
  readonly sequence: number;
  readonly state: ReviewState;
  readonly review: number;
}

/**
 * What a record changes in the state of an earlier one. Reviews themselves are not reviewed: one of a review
 * changes nothing.
 */
export function reviewChange({ action, review, sequence }: AuditRecord): ReviewChange | undefined {
  // An edited text may hold anything.
  if (action !== 'review' || !Number.isSafeInteger(review?.sequence)) return undefined;
  if (review === undefined || review.sequence >= sequence) return undefined;
  return { sequence: review.sequence, state: review.state, review: sequence };
}

/** As people are told. */
export function reviewOf({ sequence, review, actor, time, note }: AuditRecord): Review | undefined {
  if (review === undefined) return undefined;
  return {
    state: review.state,
    ...(actor.name === undefined ? {} : { by: actor.name }),
    time,
    ...(note === undefined ? {} : { note }),
    sequence,
  };
}

export interface FacetProof {
  /** The row beside a record; undefined: there is none. */
  readonly row: FacetRow | undefined;
  /** The record that the row names as the review. */
  readonly review: AuditRecord | undefined;
  /** For a review: the row of the record that it is about. */
  readonly about: FacetRow | undefined;
}

/**
 * Whether the row says what the chain says. It names an existing review, and no review names a later one: so it is
 * the last.
 */
export function isFacetSo(record: AuditRecord, { row, review, about }: FacetProof): boolean {
  const change = reviewChange(record);
  const isOutdated =
    about !== undefined && about.action !== 'review' && (about.review ?? 0) < record.sequence;
  if (row === undefined || (change !== undefined && isOutdated)) return false;
  if (row.review === null) return sameRow(row, facetRow(record));
  const named = review && reviewChange(review);
  const { state, review: number } = row;
  const isNamed = named?.sequence === record.sequence && named.state === state && named.review === number;
  return (
    isNamed && record.action !== 'review' && sameRow(row, { ...facetRow(record), state, review: number })
  );
}
