import type { AuditRecord, ReviewState } from '../entry.ts';
import type { Review } from '../store.ts';
import { type FacetRow, sameRow, unreviewedFacet } from './tables.ts';

/** The effect of a review on a record. */
export interface ReviewChange {
  readonly sequence: number;
  readonly state: ReviewState;
  readonly review: number;
}

/** How a record changes the review state of an earlier one. A review of a review has no effect. */
export function reviewChange({ action, review, sequence }: AuditRecord): ReviewChange | undefined {
  // An edited text may contain anything.
  if (action !== 'review' || !Number.isSafeInteger(review?.sequence)) return undefined;
  if (review === undefined || review.sequence >= sequence) return undefined;
  return { sequence: review.sequence, state: review.state, review: sequence };
}

/** The review as people see it. */
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

export interface FacetContext {
  /** The facet row of the record. Undefined: there is none. */
  readonly row: FacetRow | undefined;
  /** The record that the row names as its review. */
  readonly review: AuditRecord | undefined;
  /** For a review: the facet row of the reviewed record. */
  readonly about: FacetRow | undefined;
}

/** Whether the facet row agrees with the chain: it names an existing review, and no review names a later one. */
export function facetMatches(record: AuditRecord, { row, review, about }: FacetContext): boolean {
  const change = reviewChange(record);
  const isOutdated =
    about !== undefined && about.action !== 'review' && (about.review ?? 0) < record.sequence;
  if (row === undefined || (change !== undefined && isOutdated)) return false;
  if (row.review === null) return sameRow(row, unreviewedFacet(record));
  const named = review && reviewChange(review);
  const { state, review: number } = row;
  const isNamed = named?.sequence === record.sequence && named.state === state && named.review === number;
  return (
    isNamed &&
    record.action !== 'review' &&
    sameRow(row, { ...unreviewedFacet(record), state, review: number })
  );
}
