import { isObject, parseAny } from '../../core/json.ts';
import { canonical, type Head } from '../chain.ts';

/**
 * A signed copy of the head of the chain, kept outside the store. It proves that the chain contained the record at this
 * head.
 */
export interface Checkpoint extends Head {
  /** In RFC 3339 format. */
  readonly time: string;
  readonly instance: string;
  /** The id of the signing key: the first 16 hex digits of the SHA-256 of its public key (SPKI, DER). */
  readonly keyId: string;
  /**
   * The last pruned record: its sequence and its hash. Records up to it may be missing from the store, and no others.
   * The sequence is 0 if nothing was pruned. Checkpoints of earlier releases lack this member.
   */
  readonly base?: { readonly sequence: number; readonly previousHash: string };
  /**
   * Set only if this checkpoint accepts a loss of records on behalf of a person. The store may then lack records up to
   * this sequence, although earlier checkpoints prove that they existed.
   */
  readonly accepts?: number;
  /** The Ed25519 signature (RFC 8032) of the canonical JSON (RFC 8785) of all other members, in base64. */
  readonly signature: string;
}

/** A place where checkpoints are written. There may be several places. */
export interface CheckpointLocation {
  /** The display name, such as `file ./state/checkpoints.jsonl`. */
  readonly name: string;
  /** Whether replicas on other machines write to this location too. */
  readonly isShared?: boolean;
  /** Writes a checkpoint, which is durable when the promise resolves. @throws AppError */
  write(checkpoint: Checkpoint): Promise<void>;
  /**
   * Checks that a write would succeed, without changing anything. @throws AppError with the reason if a write would
   * fail.
   */
  checkWritable(): Promise<void>;
  /**
   * Returns the stored checkpoints, oldest first. Some locations keep only the most recent checkpoints, and standard
   * output keeps none. @throws AppError
   */
  read(): Promise<readonly Checkpoint[]>;
}

/** Formats a checkpoint as one line, without a line break. */
export function checkpointLine(checkpoint: Checkpoint): string {
  return canonical(checkpoint);
}

/**
 * Parses the checkpoints in a text, in the order of its lines. Skips incomplete lines and lines without a checkpoint.
 * Also accepts the format of standard output, `{"checkpoint":{…}}`.
 */
export function parseCheckpoints(text: string): readonly Checkpoint[] {
  return text.split('\n').flatMap((line) => parseLine(line) ?? []);
}

function parseLine(line: string): Checkpoint | undefined {
  // In a log, a line may start with a time or a name.
  const start = line.indexOf('{');
  if (start === -1 || !line.includes('"signature"')) return undefined;
  const value = parseAny(line.slice(start));
  if (isCheckpoint(value)) return value;
  const inner = typeof value === 'object' && value !== null && 'checkpoint' in value && value.checkpoint;
  return isCheckpoint(inner) ? inner : undefined;
}

function isCheckpoint(value: unknown): value is Checkpoint {
  if (typeof value !== 'object' || value === null) return false;
  const { sequence, hash, time, instance, keyId, signature, accepts, base } = value as Readonly<
    Record<string, unknown>
  >;
  return (
    Number.isSafeInteger(sequence) &&
    (base === undefined || isBase(base)) &&
    (accepts === undefined || Number.isSafeInteger(accepts)) &&
    [hash, time, instance, keyId, signature].every((member) => typeof member === 'string')
  );
}

function isBase(value: unknown): boolean {
  return isObject(value) && Number.isSafeInteger(value.sequence) && typeof value.previousHash === 'string';
}
