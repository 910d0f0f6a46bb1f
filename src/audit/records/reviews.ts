import type { AuditRecord, ReviewState } from '../entry.ts';
import type { Review } from '../store.ts';
import { type FacetRow, sameRow, unreviewedFacet } from './tables.ts';

/** The new review state of a record. */
export interface ReviewChange {
  readonly sequence: number;
  readonly state: ReviewState;
  readonly review: number;
}

/** Returns the review state that a record sets for an earlier record. A review of a review has no effect. */
export function reviewChange({ action, review, sequence }: AuditRecord): ReviewChange | undefined {
  // The text may have been edited, so its members may have any type.
  if (action !== 'review' || !Number.isSafeInteger(review?.sequence)) return undefined;
  if (review === undefined || review.sequence >= sequence) return undefined;
  return { sequence: review.sequence, state: review.state, review: sequence };
}

/** Converts a review record to the form that people see. */
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
  /** The facet row of the record, if it exists. */
  readonly row: FacetRow | undefined;
  /** The review record that the facet row refers to. */
  readonly review: AuditRecord | undefined;
  /** For a review: the facet row of the reviewed record. */
  readonly about: FacetRow | undefined;
}

/**
 * Whether the facet row agrees with the chain. The row must refer to an existing review, and no later review of the
 * same record may exist.
 */
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
