import { AppError } from '../../core/errors.ts';
import { type Actor, type AuditRecord, NO_KEYS, type ReviewState } from '../entry.ts';
import type { AuditStore } from '../store.ts';

/** What a person may say of a record. `unreviewed` it is before anybody did, and not again. */
export const REVIEWS = ['reviewed', 'flagged'] as const satisfies readonly ReviewState[];
export type ReviewWord = (typeof REVIEWS)[number];

/** In UTF-16 code units. */
export const LONGEST_NOTE = 2_000;

export interface ReviewWish {
  readonly sequence: number;
  readonly state: ReviewWord;
  readonly note?: string;
  readonly actor: Actor;
  readonly requestId: string;
}

/**
 * Records that a person has looked at a record; the last word counts, and the earlier ones stay. Gives the record
 * of it. A review names the record alone and not its target, whose history it is no part of.
 *
 * @throws AppError RECORD_MISSING; NOT_REVIEWABLE for a review of a review.
 */
export async function review(
  audit: Pick<AuditStore, 'get' | 'append'>,
  { sequence, state, note, actor, requestId }: ReviewWish,
): Promise<AuditRecord> {
  const about = `record ${sequence}`;
  const found = await audit.get(sequence);
  if (found === undefined) throw new AppError('RECORD_MISSING', { about });
  if (found.action === 'review') throw new AppError('NOT_REVIEWABLE', { about });
  const words = note?.trim() ?? '';
  if (words.length > LONGEST_NOTE)
    throw new AppError('INVALID_REQUEST', { detail: `a note has at most ${LONGEST_NOTE} characters` });
  const [recorded] = await audit.append([
    {
      actor,
      requestId,
      action: 'review',
      outcome: 'ok',
      review: { sequence, state },
      ...(words === '' ? {} : { note: words }),
      sources: [],
      keys: NO_KEYS,
      durationMs: 0,
      attempt: 1,
    },
  ]);
  if (recorded === undefined) throw new AppError('INTERNAL', { detail: 'nothing was recorded' });
  return recorded;
}
