import type { Head } from '../chain.ts';

/** A signed statement of how far the chain went, kept outside the store. */
export interface Checkpoint extends Head {
  /** RFC 3339. */
  readonly time: string;
  readonly instance: string;
  /** The id of the signing key: the first 16 hex digits of the SHA-256 of its public key (SPKI, DER). */
  readonly keyId: string;
  /** Set when a person accepts a loss: checkpoints up to this sequence need not be found any more. */
  readonly accepts?: number;
  /** Ed25519 (RFC 8032) over the canonical JSON (RFC 8785) of all other members, in base64. */
  readonly signature: string;
}

/** Where checkpoints are written. Several locations may be configured. */
export interface CheckpointLocation {
  /** Shown to people: `file ./state/checkpoints.jsonl`. */
  readonly name: string;
  /** Durable when it resolves. @throws AppError */
  write(checkpoint: Checkpoint): Promise<void>;
  /** Checks that a write would succeed, without changing anything. @throws AppError with the reason if not. */
  checkWritable(): Promise<void>;
  /**
   * The stored checkpoints, oldest first. Some locations keep only the last ones; standard output has none. @throws
   * AppError
   */
  read(): Promise<readonly Checkpoint[]>;
}
