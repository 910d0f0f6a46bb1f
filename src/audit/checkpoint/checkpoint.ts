import type { Head } from '../chain.ts';

/** A signed word on how far the chain went, kept outside of the store. */
export interface Checkpoint extends Head {
  /** RFC 3339. */
  readonly time: string;
  readonly instance: string;
  /** Which key signed: the first 16 hex digits of the SHA-256 of its public key (SPKI, DER). */
  readonly keyId: string;
  /** A person has accepted that the store ends here, although a checkpoint was ahead of it. */
  readonly accepts?: number;
  /** Ed25519 (RFC 8032) over the canonical JSON (RFC 8785) of all the other members, as base64. */
  readonly signature: string;
}

/** Where checkpoints go. Several may be set. */
export interface CheckpointPlace {
  /** For people: `file ./state/checkpoints.jsonl`. */
  readonly name: string;
  /** Durable when it resolves. @throws AppError */
  write(checkpoint: Checkpoint): Promise<void>;
  /** Whether it would take one, as far as that can be told without a change. @throws AppError why not. */
  rehearse(): Promise<void>;
  /** Those that are there, oldest first; of some places only the last ones, and of standard output none. @throws AppError */
  read(): Promise<readonly Checkpoint[]>;
}
