import { isObject } from '../../core/json.ts';
import type { Head } from '../chain.ts';
import { type Entry, NO_KEYS } from '../entry.ts';
import type { Segment } from './archive.ts';

const BEGINNING = 'retention:';

/** By which the chain itself says what has left it, and what the record after it must name. */
export function cutEntry({ base, seal }: Segment, name: string | undefined, durationMs: number): Entry {
  const first = base.sequence + 1;
  const { sequence: last, hash, time } = seal;
  const where = name === undefined ? '' : `; they are in ${name}`;
  return {
    actor: { kind: 'schedule' },
    requestId: crypto.randomUUID(),
    action: name === undefined ? 'sweep' : 'export',
    outcome: 'ok',
    sources: [],
    keys: NO_KEYS,
    counts: { records: last - base.sequence, first, last },
    note: `${BEGINNING} records ${first} to ${last} leave, the last with the hash ${hash}, by a checkpoint of ${time}${where}`,
    durationMs,
    attempt: 1,
  };
}

/** Whether a record is the one by which the chain says that records up to this one leave. */
export function saysOfCut(
  { actor, counts, note }: Readonly<Record<string, unknown>>,
  { sequence, hash }: Head,
): boolean {
  return (
    isObject(actor) &&
    actor.kind === 'schedule' &&
    isObject(counts) &&
    counts.last === sequence &&
    typeof note === 'string' &&
    note.startsWith(BEGINNING) &&
    note.includes(hash)
  );
}
