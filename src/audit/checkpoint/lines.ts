import { parseAny } from '../../core/json.ts';
import { canonical } from '../canonical.ts';
import type { Checkpoint } from './checkpoint.ts';

/** One line, without its end. */
export function lineOf(checkpoint: Checkpoint): string {
  return canonical(checkpoint);
}

/**
 * The checkpoints among the lines of a text, in their order. A line that is none is passed over: a crash may have
 * torn it, and a log has other lines beside those of standard output (`{"checkpoint":{…}}`).
 */
export function checkpointsIn(text: string): readonly Checkpoint[] {
  return text.split('\n').flatMap((line) => parse(line) ?? []);
}

function parse(line: string): Checkpoint | undefined {
  // Lines of a log may begin with a time or a name.
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
