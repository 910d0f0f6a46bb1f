import type { Head } from '../chain.ts';
import type { Checkpoint } from './checkpoint.ts';

/** A loss of records: checkpoints prove that the store contained records which it now lacks. */
export interface Loss {
  /** The current head of the store. */
  readonly end: Head;
  /** The newest checkpoints that prove the loss of a record: at most one for each location. */
  readonly contradicting: readonly { readonly place: string; readonly checkpoint: Checkpoint }[];
  /** The last missing record at the start of the log, if no checkpoint says that retention removed it. */
  readonly cutUntil?: number;
}

/** Returns the part of the error message that says what is missing. */
export function describeLoss({ end, contradicting, cutUntil = 0 }: Loss): string {
  const newest = contradicting.toSorted((a, b) => b.checkpoint.sequence - a.checkpoint.sequence)[0];
  if (newest === undefined)
    return `it begins at record ${cutUntil + 1}, and no checkpoint says that retention removed the records before it`;
  const { checkpoint, place } = newest;
  const { sequence, time } = checkpoint;
  return end.sequence < sequence
    ? `it ends at record ${end.sequence}, and a checkpoint of ${time} in ${place} proves record ${sequence}`
    : `its record ${sequence} differs from the one that a checkpoint of ${time} in ${place} proves`;
}

/** Whether all missing records were removed before the base was signed. */
export function isWithin(base: Head, signed: Head): boolean {
  return base.sequence < signed.sequence || (base.sequence === signed.sequence && base.hash === signed.hash);
}

export function asSigned({ sequence, hash }: Head): NonNullable<Checkpoint['base']> {
  return { sequence, previousHash: hash };
}
