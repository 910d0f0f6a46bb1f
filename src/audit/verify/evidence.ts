import type { Head } from '../chain.ts';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { isAccepted } from '../checkpoint/compare.ts';
import { type PublicKeys, type SignatureState, signatureOf } from '../checkpoint/signing.ts';
import type { RecordKeys } from '../record-keys.ts';

/** What is known from outside the store: signed checkpoints, and the keys that verify them and the records. */
export interface Evidence {
  readonly checkpoints: readonly Checkpoint[];
  /** The known public keys. Without keys, signatures are not checked. */
  readonly keys: PublicKeys;
  /** Checks the HMACs of records. Without it, they are not checked. */
  readonly recordKeys?: Pick<RecordKeys, 'check'> | undefined;
  /** Whether retention is configured, so that records at the start may be missing although no checkpoint says so. */
  readonly hasRetention?: boolean | undefined;
}

export interface ClassifiedCheckpoints {
  readonly states: ReadonlyMap<Checkpoint, SignatureState>;
  /** Checkpoints with a valid signature of a known key. */
  readonly trusted: readonly Checkpoint[];
  /** Trusted checkpoints that agree with the chain. */
  readonly agreeing: readonly Checkpoint[];
  /** Trusted checkpoints that prove lost records. A person has accepted the loss of these records. */
  readonly accepted: readonly Checkpoint[];
}

/** Verifies the signature of each checkpoint. */
export function signatureStates({ checkpoints, keys }: Evidence): ClassifiedCheckpoints['states'] {
  return new Map(checkpoints.map((checkpoint) => [checkpoint, signatureOf(checkpoint, keys)]));
}

/** @param isConsistent Whether a checkpoint agrees with the base or with a record that fits into the chain. */
export function classifyCheckpoints(
  checkpoints: readonly Checkpoint[],
  states: ClassifiedCheckpoints['states'],
  base: Head,
  isConsistent: (checkpoint: Checkpoint) => boolean,
): ClassifiedCheckpoints {
  const trusted = checkpoints.filter((checkpoint) => states.get(checkpoint) === 'good');
  const acceptances = trusted.filter(
    (checkpoint) => isConsistent(checkpoint) || checkpoint.sequence < base.sequence,
  );
  const accepted = trusted.filter(
    (checkpoint) => !isConsistent(checkpoint) && isAccepted(checkpoint, acceptances),
  );
  return { states, trusted, agreeing: trusted.filter(isConsistent), accepted };
}

/**
 * Whether records up to `base` may be missing: a checkpoint signs this base or a later one. The store's base is lower
 * than the signed one after a crash between the checkpoint and the removal.
 */
export function isBaseSigned(base: Head, signed: readonly Checkpoint[]): boolean {
  return signed.some(({ base: other }) =>
    other === undefined || other.sequence < base.sequence
      ? false
      : other.sequence > base.sequence || other.previousHash === base.hash,
  );
}

/** Records after the last checkpoint count as covered up to this number, and up to this age. */
const MAX_UNCOVERED = 1_000;
const MAX_UNCOVERED_MS = 10 * 60_000;

/** Counts the records that no checkpoint covers, while the records are read. */
export class Coverage {
  readonly #signed: ReadonlyMap<number, ReadonlySet<string>>;
  #hasCheckpoint = false;
  #uncovered = 0;
  #firstUncoveredAt = 0;
  #lastAt = 0;

  constructor(states: ClassifiedCheckpoints['states'], base: Head) {
    const trusted = [...states.keys()].filter((checkpoint) => states.get(checkpoint) === 'good');
    const bySequence = Map.groupBy(trusted, ({ sequence }) => sequence);
    this.#signed = new Map(
      [...bySequence].map(([sequence, all]) => [sequence, new Set(all.map(({ hash }) => hash))]),
    );
    this.#note(base);
  }

  add(record: Head, time: unknown): void {
    this.#lastAt = typeof time === 'string' ? Date.parse(time) : Number.NaN;
    if (this.#uncovered === 0) this.#firstUncoveredAt = this.#lastAt;
    this.#uncovered += 1;
    this.#note(record);
  }

  #note({ sequence, hash }: Head): void {
    if (!this.#signed.get(sequence)?.has(hash)) return;
    this.#hasCheckpoint = true;
    this.#uncovered = 0;
  }

  /** Whether a checkpoint covers everything except the newest records. An empty log needs no checkpoint. */
  isCovered(records: number): boolean {
    if (records === 0) return true;
    const isRecent = this.#lastAt - this.#firstUncoveredAt <= MAX_UNCOVERED_MS;
    return this.#hasCheckpoint && (this.#uncovered === 0 || (this.#uncovered <= MAX_UNCOVERED && isRecent));
  }
}
