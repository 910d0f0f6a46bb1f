import { createHash } from 'node:crypto';
import type { Mapping, MappingInclude } from '../../core/mapping.ts';
import type { StoreRef } from '../../core/read-result.ts';
import { formatTarget } from '../../core/target.ts';
import type { Subject } from '../../queue/subject.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import { isSpread, refsOf, sourcesOf } from '../../sync/desired.ts';

export type Sweep = Extract<Subject, { kind: 'sweep' }>;

/** A part of a sweep: references of one store, and targets that need a full run. */
export interface Shard {
  readonly sweep: Sweep;
  readonly refs: readonly StoreRef[];
  readonly fullRuns: readonly DesiredTarget[];
  /** The `include` of all mappings in this shard. Tenants share no shard, so that each has its own limits and turns. */
  readonly include?: MappingInclude | undefined;
}

/** Number of references in a shard, for a store without version lists. */
const READS_PER_SHARD = 25;
const MAX_SHARDS = 64;

/**
 * Divides the periodic checks into shards. The result depends only on the configuration, so all replicas use the same
 * shard names.
 */
export function shardsOf(
  desired: readonly DesiredTarget[],
  tellsVersions: (store: string) => boolean,
): readonly Shard[] {
  const groups = new Map<string, ShardGroup>();
  const groupOf = ({ include }: Mapping, store: string, refreshMs: number) => {
    const id = `${store}/${refreshMs}/${include?.path ?? ''}`;
    const group = groups.get(id) ?? newGroup(store, refreshMs, include);
    groups.set(id, group);
    return group;
  };
  const shortest = shortestRefresh(desired);
  for (const desiredTarget of desired) {
    const { mapping } = desiredTarget;
    const whole = fullRunStore(mapping);
    if (whole !== undefined) groupOf(mapping, whole, mapping.refreshMs).whole.push(desiredTarget);
  }
  for (const mapping of new Set(desired.map((desiredTarget) => desiredTarget.mapping))) {
    if (mapping.target.mode === 'merge') continue;
    // A reference shared by several mappings is read once, at the shortest interval.
    for (const [id, ref] of refsOf(mapping))
      groupOf(mapping, ref.store, shortest(mapping, id)).refs.set(id, ref);
  }
  return [...groups.values()].flatMap(({ store, refreshMs, include, refs, whole }) => {
    // If one list shows the versions of all keys of a store, one shard is enough. Otherwise the reads are spread.
    const parts = Math.ceil(
      (tellsVersions(store) ? 1 : refs.size / READS_PER_SHARD) + whole.length / READS_PER_SHARD,
    );
    // Use powers of two, so that a new mapping rarely changes the names and due times of the shards.
    const shards = Math.min(MAX_SHARDS, 2 ** Math.ceil(Math.log2(Math.max(1, parts))));
    const shardOf = (id: string) => (shards === 1 ? 0 : hashOf(id) % shards);
    const inShard = Map.groupBy([...refs], ([id]) => shardOf(id));
    const fullRunsInShard = Map.groupBy(whole, ({ id }) => shardOf(formatTarget(id)));
    const owner = include === undefined ? {} : { include: hashOf(include.path).toString(16) };
    return Array.from({ length: shards }, (_, shard) => ({
      sweep: { kind: 'sweep' as const, store, refreshMs, shard, shards, ...owner },
      include,
      refs: (inShard.get(shard) ?? []).map(([, ref]) => ref),
      fullRuns: fullRunsInShard.get(shard) ?? [],
    }));
  });
}

function newGroup(store: string, refreshMs: number, include: MappingInclude | undefined): ShardGroup {
  return { store, refreshMs, include, refs: new Map(), whole: [] };
}

interface ShardGroup {
  readonly store: string;
  readonly refreshMs: number;
  readonly include: MappingInclude | undefined;
  readonly refs: Map<string, StoreRef>;
  readonly whole: DesiredTarget[];
}

/** Returns a function that returns the shortest interval of a reference among the mappings of the same `include`. */
function shortestRefresh(desired: readonly DesiredTarget[]): (mapping: Mapping, ref: string) => number {
  const shortest = new Map<string, number>();
  const keyOf = ({ include }: Mapping, ref: string) =>
    include === undefined ? ref : `${include.path} ${ref}`;
  for (const mapping of new Set(desired.map((desiredTarget) => desiredTarget.mapping)))
    for (const id of refsOf(mapping).keys()) {
      const key = keyOf(mapping, id);
      shortest.set(key, Math.min(mapping.refreshMs, shortest.get(key) ?? Number.POSITIVE_INFINITY));
    }
  return (mapping, ref) => shortest.get(keyOf(mapping, ref)) ?? mapping.refreshMs;
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

function hashOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0);
}
