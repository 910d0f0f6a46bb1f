import { parseAny } from '../../core/json.ts';
import { canonical } from '../canonical.ts';
import type { Checkpoint } from './checkpoint.ts';

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
