import type { Checkpoint } from './checkpoint.ts';
import { type PublicKeys, signatureOf } from './signing.ts';

// Checkpoints have an order of their own: by time. Whoever signs makes sure that it never goes back, since a person
// may accept that the store ends before what was signed earlier (`accepts`), and from then on sequences repeat.

export interface Newest {
  /** The one that the store is measured by. */
  readonly checkpoint: Checkpoint | undefined;
  /** What would have been newer, and is signed wrongly or by a key that is not known. */
  readonly untrusted: readonly Checkpoint[];
}

/**
 * The trusted checkpoint that went furthest since the last acceptance. Looks at few signatures: a checkpoint covers
 * all records before it, and so all checkpoints before it.
 */
export function newestOf(checkpoints: readonly Checkpoint[], keys: PublicKeys): Newest {
  const untrusted: Checkpoint[] = [];
  const trusted = (checkpoint: Checkpoint): boolean => {
    const good = signatureOf(checkpoint, keys) === 'good';
    if (!good) untrusted.push(checkpoint);
    return good;
  };
  const byTime = checkpoints.toSorted((a, b) => compareTime(b, a));
  const accepted = byTime.find((it) => it.accepts !== undefined && trusted(it));
  const since = byTime.filter((it) => accepted === undefined || compareTime(it, accepted) >= 0);
  const checkpoint = since.toSorted((a, b) => b.sequence - a.sequence).find(trusted);
  return { checkpoint, untrusted: [...new Set(untrusted)] };
}

/** Whether a person has accepted that what this one proves is gone. `accepting` must be of the chain itself. */
export function isAccepted(checkpoint: Checkpoint, accepting: readonly Checkpoint[]): boolean {
  return accepting.some(
    (it) => it.accepts !== undefined && checkpoint.sequence <= it.accepts && compareTime(checkpoint, it) < 0,
  );
}

export function compareTime(a: Checkpoint, b: Checkpoint): number {
  return Date.parse(a.time) - Date.parse(b.time);
}
