import { isDay } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { type Actor, type AuditRecord, NO_KEYS, type ReviewState } from '../entry.ts';
import type { AuditStore } from '../store.ts';

/** The review states that a person may set. `unreviewed` is only the initial state. */
export const NEW_REVIEW_STATES = ['reviewed', 'flagged'] as const satisfies readonly ReviewState[];
export type NewReviewState = (typeof NEW_REVIEW_STATES)[number];

/** The maximum length of a note, in UTF-16 code units. */
export const MAX_NOTE_LENGTH = 2_000;

/** The maximum number of records that one request reviews. */
export const MAX_REVIEWED = 200;

export interface NewReview {
  readonly state: NewReviewState;
  readonly note?: string | undefined;
  /** The day on which somebody looks at the record again, as `2026-01-31`. */
  readonly followUp?: string | undefined;
}

export interface ReviewRequest extends NewReview {
  readonly sequences: readonly number[];
  readonly actor: Actor;
  readonly requestId: string;
}

/**
 * Records a person's review of records, all or none, and returns the records of the reviews. Only the last review of a
 * record determines its state, but earlier ones stay in the log. The record of a review names no target, so it is not
 * part of a target's history.
 *
 * @throws AppError RECORD_MISSING; NOT_REVIEWABLE for a review of a review; INVALID_REQUEST.
 */
export async function recordReviews(
  audit: Pick<AuditStore, 'get' | 'append'>,
  { sequences, actor, requestId, ...review }: ReviewRequest,
): Promise<readonly AuditRecord[]> {
  const members = reviewMembers(review);
  for (const sequence of sequences) await checkReviewable(audit, sequence);
  const { note, state, followUp } = members;
  return audit.append(
    sequences.map((sequence) => ({
      actor,
      requestId,
      action: 'review',
      outcome: 'ok',
      review: { sequence, state, ...(followUp === undefined ? {} : { followUp }) },
      ...(note === undefined ? {} : { note }),
      sources: [],
      keys: NO_KEYS,
      durationMs: 0,
      attempt: 1,
    })),
  );
}

/** Does the same for one record. */
export async function recordReview(
  audit: Pick<AuditStore, 'get' | 'append'>,
  { sequence, ...request }: Omit<ReviewRequest, 'sequences'> & { readonly sequence: number },
): Promise<AuditRecord> {
  const [recorded] = await recordReviews(audit, { ...request, sequences: [sequence] });
  if (recorded === undefined) throw new AppError('INTERNAL', { detail: 'nothing was recorded' });
  return recorded;
}

function reviewMembers({ state, note = '', followUp }: NewReview): NewReview {
  const trimmed = note.trim();
  if (trimmed.length > MAX_NOTE_LENGTH)
    throw new AppError('INVALID_REQUEST', { detail: `a note has at most ${MAX_NOTE_LENGTH} characters` });
  if (followUp !== undefined && !isDay(followUp))
    throw new AppError('INVALID_REQUEST', { detail: '`followUp` must be a day, such as 2026-01-31' });
  return { state, followUp, ...(trimmed === '' ? {} : { note: trimmed }) };
}

async function checkReviewable(audit: Pick<AuditStore, 'get'>, sequence: number): Promise<void> {
  const subject = `record ${sequence}`;
  const reviewed = await audit.get(sequence);
  if (reviewed === undefined) throw new AppError('RECORD_MISSING', { subject });
  if (reviewed.action === 'review') throw new AppError('NOT_REVIEWABLE', { subject });
}
