import { isObject } from '../../core/json.ts';
import type { Head } from '../chain.ts';
import { type Entry, NO_KEYS } from '../entry.ts';
import type { Segment } from './archive.ts';

const NOTE_PREFIX = 'retention:';

/**
 * Creates the record that announces the pruning of a segment. It contains the sequence and hash of the last pruned
 * record, so that the first remaining record can be verified.
 */
export function pruneEntry({ base, seal }: Segment, name: string | undefined, durationMs: number): Entry {
  const first = base.sequence + 1;
  const { sequence: last, hash, time } = seal;
  const location = name === undefined ? '' : `, archived in ${name}`;
  return {
    actor: { kind: 'schedule' },
    requestId: crypto.randomUUID(),
    action: name === undefined ? 'sweep' : 'export',
    outcome: 'ok',
    sources: [],
    keys: NO_KEYS,
    counts: { records: last - base.sequence, first, last },
    note: `${NOTE_PREFIX} pruned records ${first} to ${last}, hash of the last ${hash}, checkpoint of ${time}${location}`,
    durationMs,
    attempt: 1,
  };
}

/** Whether a record announces the pruning of all records up to `base`. */
export function isPruneEntry(
  { actor, counts, note }: Readonly<Record<string, unknown>>,
  { sequence, hash }: Head,
): boolean {
  return (
    isObject(actor) &&
    actor.kind === 'schedule' &&
    isObject(counts) &&
    counts.last === sequence &&
    typeof note === 'string' &&
    note.startsWith(NOTE_PREFIX) &&
    note.includes(hash)
  );
}
