import { createHash } from 'node:crypto';
import type { Mapping } from '../../core/mapping.ts';
import type { StoreRef } from '../../core/read-result.ts';
import { formatTarget } from '../../core/target.ts';
import type { Subject } from '../../queue/subject.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import { isSpread, sourcesOf } from '../../sync/desired.ts';
import { refsOf } from './refs.ts';

export type Sweep = Extract<Subject, { kind: 'sweep' }>;

/** What is looked at together: references of one store, and targets that only a full run can check. */
export interface Shard {
  readonly sweep: Sweep;
  readonly refs: readonly StoreRef[];
  readonly fullRuns: readonly DesiredTarget[];
}

/** As many references as a store that must be read for each is asked for at once. */
const READS_PER_SHARD = 25;
const MAX_SHARDS = 64;

/**
 * Divides what has to be checked within each interval into shards. The same configuration gives the same shards in every
 * process, so that replicas name the same work alike.
 */
export function shardsOf(
  wanted: readonly DesiredTarget[],
  tellsVersions: (store: string) => boolean,
): readonly Shard[] {
  const groups = new Map<
    string,
    { store: string; refreshMs: number; refs: Map<string, StoreRef>; whole: DesiredTarget[] }
  >();
  const groupOf = (store: string, refreshMs: number) => {
    const id = `${store}/${refreshMs}`;
    const group = groups.get(id) ?? { store, refreshMs, refs: new Map<string, StoreRef>(), whole: [] };
    groups.set(id, group);
    return group;
  };
  const shortest = shortestRefresh(wanted);
  for (const desiredTarget of wanted) {
    const { mapping } = desiredTarget;
    const whole = fullRunStore(mapping);
    if (whole !== undefined) groupOf(whole, mapping.refreshMs).whole.push(desiredTarget);
  }
  for (const mapping of new Set(wanted.map((desiredTarget) => desiredTarget.mapping))) {
    if (mapping.target.mode === 'merge') continue;
    // What two mappings share is read at the shorter interval, once for both.
    for (const [id, ref] of refsOf(mapping))
      groupOf(ref.store, shortest.get(id) ?? mapping.refreshMs).refs.set(id, ref);
  }
  return [...groups.values()].flatMap(({ store, refreshMs, refs, whole }) => {
    // One list tells all of a store's versions; reads are spread.
    const parts = Math.ceil(
      (tellsVersions(store) ? 1 : refs.size / READS_PER_SHARD) + whole.length / READS_PER_SHARD,
    );
    // By powers of two, so that a mapping more seldom changes the names and so the due times of all.
    const shards = Math.min(MAX_SHARDS, 2 ** Math.ceil(Math.log2(Math.max(1, parts))));
    const shardOf = (id: string) => (shards === 1 ? 0 : hashOf(id) % shards);
    const inShard = Map.groupBy([...refs], ([id]) => shardOf(id));
    const fullRunsInShard = Map.groupBy(whole, ({ id }) => shardOf(formatTarget(id)));
    return Array.from({ length: shards }, (_, shard) => ({
      sweep: { kind: 'sweep' as const, store, refreshMs, shard, shards },
      refs: (inShard.get(shard) ?? []).map(([, ref]) => ref),
      fullRuns: fullRunsInShard.get(shard) ?? [],
    }));
  });
}

/** Of each reference, the shortest interval of those that use it. */
function shortestRefresh(wanted: readonly DesiredTarget[]): ReadonlyMap<string, number> {
  const shortest = new Map<string, number>();
  for (const mapping of new Set(wanted.map((desiredTarget) => desiredTarget.mapping)))
    for (const id of refsOf(mapping).keys())
      shortest.set(id, Math.min(mapping.refreshMs, shortest.get(id) ?? Number.POSITIVE_INFINITY));
  return shortest;
}

/**
 * The store with which a mapping is checked by a full run: what a search finds, no list of references tells, and in a
 * Secret of others only the API server knows what is ours.
 */
export function fullRunStore(mapping: Mapping): string | undefined {
  const search = mapping.dataFrom.find((entry) => !isSpread(entry));
  if (search !== undefined) return search.store;
  return mapping.target.mode === 'merge' ? sourcesOf(mapping)[0]?.store : undefined;
}

/** At most this share of the interval is added to a due time, another one in each round. */
const JITTER = 0.05;

/** A round of a shard: from one due time to the next, in milliseconds since 1970. */
export interface Round {
  readonly round: number;
  readonly from: number;
  readonly until: number;
}

/**
 * Which round of a shard a moment belongs to. Due times are spread over the interval by the shard's name, and are the
 * same before and after a restart and in every replica.
 */
export function roundAt(sweep: Sweep, now: number): Round {
  const { refreshMs } = sweep;
  const name = `${sweep.store}/${refreshMs}/${sweep.shard}/${sweep.shards}`;
  const phase = hashOf(name) % refreshMs;
  const dueAt = (round: number): number => {
    const jitter = (hashOf(`${name}/${round}`) % 1_000) * (JITTER / 1_000) * refreshMs;
    return phase + round * refreshMs + jitter;
  };
  const begun = Math.floor((now - phase) / refreshMs);
  const round = now >= dueAt(begun) ? begun : begun - 1;
  return { round, from: dueAt(round), until: dueAt(round + 1) };
}

function hashOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0);
}
