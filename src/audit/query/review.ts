import { AppError } from '../../core/errors.ts';
import { type Actor, type AuditRecord, NO_KEYS, type ReviewState } from '../entry.ts';
import type { AuditStore } from '../store.ts';

/** The review states that a person may set. `unreviewed` is only the initial state. */
export const NEW_REVIEW_STATES = ['reviewed', 'flagged'] as const satisfies readonly ReviewState[];
export type NewReviewState = (typeof NEW_REVIEW_STATES)[number];

/** The maximum length of a note, in UTF-16 code units. */
export const MAX_NOTE_LENGTH = 2_000;

export interface ReviewRequest {
  readonly sequence: number;
  readonly state: NewReviewState;
  readonly note?: string;
  readonly actor: Actor;
  readonly requestId: string;
}

/**
 * Records a person's review of a record, and returns the record of the review. Only the last review of a record
 * determines its state, but earlier ones stay in the log. The record of a review names no target, so it is not part of
 * a target's history.
 *
 * @throws AppError RECORD_MISSING; NOT_REVIEWABLE for a review of a review.
 */
export async function recordReview(
  audit: Pick<AuditStore, 'get' | 'append'>,
  { sequence, state, note, actor, requestId }: ReviewRequest,
): Promise<AuditRecord> {
  const about = `record ${sequence}`;
  const reviewed = await audit.get(sequence);
  if (reviewed === undefined) throw new AppError('RECORD_MISSING', { subject: about });
  if (reviewed.action === 'review') throw new AppError('NOT_REVIEWABLE', { subject: about });
  const trimmedNote = note?.trim() ?? '';
  if (trimmedNote.length > MAX_NOTE_LENGTH)
    throw new AppError('INVALID_REQUEST', { detail: `a note has at most ${MAX_NOTE_LENGTH} characters` });
  const [recorded] = await audit.append([
    {
      actor,
      requestId,
      action: 'review',
      outcome: 'ok',
      review: { sequence, state },
      ...(trimmedNote === '' ? {} : { note: trimmedNote }),
      sources: [],
      keys: NO_KEYS,
      durationMs: 0,
      attempt: 1,
    },
  ]);
  if (recorded === undefined) throw new AppError('INTERNAL', { detail: 'nothing was recorded' });
  return recorded;
}
