import { type Entry, NO_KEYS } from '../entry.ts';
import type { Segment } from './archive.ts';

/**
 * Creates the record that announces the pruning of a segment. It informs people, and proves nothing: the base in the
 * signed checkpoints does (`checkpoint.ts`).
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
    note: `retention: pruned records ${first} to ${last}, hash of the last ${hash}, checkpoint of ${time}${location}`,
    durationMs,
    attempt: 1,
  };
}
