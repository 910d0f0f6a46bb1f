import { parseAny } from '../../core/json.ts';
import { canonical, type Head } from '../chain.ts';

/** A signed copy of the head of the chain, kept outside the store. It proves that the chain reached this record. */
export interface Checkpoint extends Head {
  /** RFC 3339. */
  readonly time: string;
  readonly instance: string;
  /** The id of the signing key: the first 16 hex digits of the SHA-256 of its public key (SPKI, DER). */
  readonly keyId: string;
  /**
   * Set when a person accepts the loss of records: the store need not contain the records that checkpoints up to this
   * sequence prove.
   */
  readonly accepts?: number;
  /** Ed25519 (RFC 8032) over the canonical JSON (RFC 8785) of all other members, in base64. */
  readonly signature: string;
}

/** A place where checkpoints are written. Several may be configured. */
export interface CheckpointLocation {
  /** The display name, such as `file ./state/checkpoints.jsonl`. */
  readonly name: string;
  /** The checkpoint is durable when the promise resolves. @throws AppError */
  write(checkpoint: Checkpoint): Promise<void>;
  /**
   * Checks that a write would succeed, without changing anything. @throws AppError with the reason if a write would
   * fail.
   */
  checkWritable(): Promise<void>;
  /**
   * Returns the stored checkpoints, oldest first. Some locations keep only the most recent ones, and standard output
   * returns none. @throws AppError
   */
  read(): Promise<readonly Checkpoint[]>;
}

/** One line without its line break. */
export function checkpointLine(checkpoint: Checkpoint): string {
  return canonical(checkpoint);
}

/**
 * Parses the checkpoints in a text, in order. Skips all other lines, such as a line that a crash cut off or other lines
 * of a log. Also accepts the format of standard output, `{"checkpoint":{…}}`.
 */
export function parseCheckpoints(text: string): readonly Checkpoint[] {
  return text.split('\n').flatMap((line) => parseLine(line) ?? []);
}

function parseLine(line: string): Checkpoint | undefined {
  // Log lines may start with a time or a name.
  const start = line.indexOf('{');
  if (start === -1 || !line.includes('"signature"')) return undefined;
  const value = parseAny(line.slice(start));
  if (isCheckpoint(value)) return value;
  const inner = typeof value === 'object' && value !== null && 'checkpoint' in value && value.checkpoint;
  return isCheckpoint(inner) ? inner : undefined;
}

function isCheckpoint(value: unknown): value is Checkpoint {
  if (typeof value !== 'object' || value === null) return false;
  const { sequence, hash, time, instance, keyId, signature, accepts } = value as Readonly<
    Record<string, unknown>
  >;
  return (
    Number.isSafeInteger(sequence) &&
    (accepts === undefined || Number.isSafeInteger(accepts)) &&
    [hash, time, instance, keyId, signature].every((member) => typeof member === 'string')
  );
}
