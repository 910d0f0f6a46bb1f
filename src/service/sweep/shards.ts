import { createHash } from 'node:crypto';
import type { Mapping, MappingInclude } from '../../core/mapping.ts';
import type { StoreRef } from '../../core/read-result.ts';
import type { Subject } from '../../queue/subject.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import { isSpread, sourcesOf } from '../../sync/desired.ts';

export type Sweep = Extract<Subject, { kind: 'sweep' }>;

/** A part of a sweep: references of one store, and targets that need a full run. */
export interface Shard {
  readonly sweep: Sweep;
  readonly refs: readonly StoreRef[];
  readonly fullRuns: readonly DesiredTarget[];
  /** The `include` of all mappings in this shard. Tenants share no shard, so that each has its own limits and turns. */
  readonly include?: MappingInclude | undefined;
}

/**
 * Returns the store whose shards contain the targets of a mapping that needs full runs. Returns `undefined` for other
 * mappings. A mapping with a search needs full runs because its references are not fixed. A merging mapping needs them
 * because only the API server can show our keys in a shared Secret.
 */
export function fullRunStore(mapping: Mapping): string | undefined {
  const search = mapping.dataFrom.find((entry) => !isSpread(entry));
  if (search !== undefined) return search.store;
  return mapping.target.mode === 'merge' ? sourcesOf(mapping)[0]?.store : undefined;
}

/** Maximum jitter of a due time, as a share of the interval. */
const JITTER = 0.05;

/** A round of a shard: the period between two due times, which are in milliseconds since 1970. */
export interface Round {
  readonly round: number;
  readonly from: number;
  readonly until: number;
}

/**
 * Returns the round of a shard at a given time. A hash of the shard's name spreads the due times over the interval. The
 * due times are the same in every replica and after a restart.
 */
export function roundAt(sweep: Sweep, now: number): Round {
  const { refreshMs } = sweep;
  const owner = sweep.include === undefined ? '' : `/${sweep.include}`;
  const name = `${sweep.store}/${refreshMs}/${sweep.shard}/${sweep.shards}${owner}`;
  const phase = hashOf(name) % refreshMs;
  const dueAt = (round: number): number => {
    const jitter = (hashOf(`${name}/${round}`) % 1_000) * (JITTER / 1_000) * refreshMs;
    return phase + round * refreshMs + jitter;
  };
  const begun = Math.floor((now - phase) / refreshMs);
  const round = now >= dueAt(begun) ? begun : begun - 1;
  return { round, from: dueAt(round), until: dueAt(round + 1) };
}

/** A hash that is the same in every replica. */
export function hashOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0);
}
