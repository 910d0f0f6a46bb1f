import type { Difference } from '../../core/lists.ts';
import type { Mapping, MappingInclude } from '../../core/mapping.ts';
import { refId, type StoreRef } from '../../core/read-result.ts';
import { formatTarget } from '../../core/target.ts';
import { formatSubject } from '../../queue/subject.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import { refsOf } from '../../sync/desired.ts';
import { fullRunStore, hashOf, type Shard } from './shards.ts';

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
  const index = new ShardIndex(tellsVersions);
  index.update({ removed: [], added: desired });
  return [...index.shards().values()];
}

/** The users of each reference, and the shards. An update costs what has changed, and not the number of targets. */
export class ShardIndex {
  readonly #tellsVersions: (store: string) => boolean;
  /** The targets that use a reference, by `refId`. A single target has no set, to save memory. */
  readonly #users = new Map<string, DesiredTarget | Set<DesiredTarget>>();
  readonly #groups = new Map<string, ShardGroup>();
  #shards: ReadonlyMap<string, Shard> = new Map();

  constructor(tellsVersions: (store: string) => boolean) {
    this.#tellsVersions = tellsVersions;
  }

  usersOf(ref: StoreRef): readonly DesiredTarget[] {
    return this.#usersOf(refId(ref));
  }

  /** The shards by their subject. */
  shards(): ReadonlyMap<string, Shard> {
    return this.#shards;
  }

  /** Returns the names of the shards that check the sources of a mapping. */
  shardsOf(mapping: Mapping): readonly string[] {
    const names = new Set<string>();
    const { include, refreshMs } = mapping;
    for (const [id, { store }] of refsOf(mapping)) {
      const place = this.#placeOf(id, store, include);
      const name = place && this.#groups.get(place.group)?.nameOf(id);
      if (name !== undefined) names.add(name);
    }
    const store = fullRunStore(mapping);
    const whole = store === undefined ? undefined : this.#groups.get(groupId(store, refreshMs, include));
    for (const name of whole?.namesOf(mapping) ?? []) names.add(name);
    return [...names];
  }

  update({ removed, added }: Difference<DesiredTarget>): void {
    const moves = new Map<string, Move>();
    for (const { include, refs } of usesIn([...removed, ...added]))
      for (const [id, { store }] of refs) {
        const before = this.#placeOf(id, store, include);
        moves.set(`${include?.path ?? ''} ${id}`, { id, store, include, before });
      }
    for (const target of removed) this.#removeUser(target);
    for (const target of added) this.#addUser(target);
    for (const { id, store, include, before } of moves.values()) {
      const now = this.#placeOf(id, store, include);
      if (before !== undefined && before.group !== now?.group) this.#groups.get(before.group)?.removeRef(id);
      if (now !== undefined) this.#groupAt(now.group, store, now.refreshMs, include).addRef(id, now.ref);
    }
    for (const target of removed) this.#wholeGroup(target)?.removeTarget(target);
    for (const target of added) this.#wholeGroup(target)?.addTarget(target);
    this.#collectShards();
  }

  #collectShards(): void {
    const shards = new Map<string, Shard>();
    for (const [id, group] of this.#groups)
      if (group.isEmpty) this.#groups.delete(id);
      else
        for (const shard of group.shards(this.#tellsVersions(group.store)))
          shards.set(formatSubject(shard.sweep), shard);
    this.#shards = shards;
  }

  /** A reference shared by several mappings is read once, at the shortest interval. Tenants share no reads. */
  #placeOf(id: string, store: string, include: MappingInclude | undefined): Place | undefined {
    let refreshMs = Number.POSITIVE_INFINITY;
    let ref: StoreRef | undefined;
    for (const { mapping } of this.#usersOf(id)) {
      if (mapping.include?.path !== include?.path) continue;
      refreshMs = Math.min(refreshMs, mapping.refreshMs);
      if (mapping.target.mode !== 'merge') ref ??= refsOf(mapping).get(id);
    }
    return ref && { group: groupId(store, refreshMs, include), refreshMs, ref };
  }

  #wholeGroup({ mapping }: DesiredTarget): ShardGroup | undefined {
    const store = fullRunStore(mapping);
    const { refreshMs, include } = mapping;
    if (store === undefined) return undefined;
    return this.#groupAt(groupId(store, refreshMs, include), store, refreshMs, include);
  }

  #groupAt(id: string, store: string, refreshMs: number, include: MappingInclude | undefined): ShardGroup {
    const group = this.#groups.get(id) ?? new ShardGroup(store, refreshMs);
    this.#groups.set(id, group);
    group.include = include;
    return group;
  }

  #usersOf(id: string): readonly DesiredTarget[] {
    const users = this.#users.get(id);
    return users === undefined ? [] : users instanceof Set ? [...users] : [users];
  }

  #addUser(target: DesiredTarget): void {
    for (const id of refsOf(target.mapping).keys()) {
      const users = this.#users.get(id);
      if (users instanceof Set) users.add(target);
      else this.#users.set(id, users === undefined ? target : new Set([users, target]));
    }
  }

  #removeUser(target: DesiredTarget): void {
    for (const id of refsOf(target.mapping).keys()) {
      const users = this.#users.get(id);
      if (users instanceof Set) users.delete(target);
      if (users === target || (users instanceof Set && users.size === 0)) this.#users.delete(id);
    }
  }
}

interface Place {
  readonly group: string;
  readonly refreshMs: number;
  readonly ref: StoreRef;
}

interface Move {
  readonly id: string;
  readonly store: string;
  readonly include: MappingInclude | undefined;
  readonly before: Place | undefined;
}

function groupId(store: string, refreshMs: number, include: MappingInclude | undefined): string {
  return `${store}/${refreshMs}/${include?.path ?? ''}`;
}

/** Returns the references of each mapping once. */
function usesIn(targets: readonly DesiredTarget[]) {
  const mappings = new Set(targets.map(({ mapping }) => mapping));
  return [...mappings].map((mapping) => ({ include: mapping.include, refs: refsOf(mapping) }));
}

/** The references and targets of one store that are checked at the same interval. */
class ShardGroup {
  readonly store: string;
  include: MappingInclude | undefined;
  readonly #refreshMs: number;
  /** The references of each shard, by `refId`. */
  #buckets: readonly Map<string, StoreRef>[] = [new Map()];
  /** The targets that need a full run. */
  readonly #whole = new Map<Mapping, Set<DesiredTarget>>();
  #targets = 0;
  #refs = 0;
  #shards: (Shard | undefined)[] = [];

  constructor(store: string, refreshMs: number) {
    this.store = store;
    this.#refreshMs = refreshMs;
  }

  get isEmpty(): boolean {
    return this.#refs + this.#targets === 0;
  }

  addRef(id: string, ref: StoreRef): void {
    const at = this.#shardOf(id);
    const bucket = this.#buckets[at];
    if (bucket === undefined || bucket.get(id) === ref) return;
    if (!bucket.has(id)) this.#refs += 1;
    bucket.set(id, ref);
    this.#shards[at] = undefined;
  }

  removeRef(id: string): void {
    const at = this.#shardOf(id);
    if (this.#buckets[at]?.delete(id) === true) this.#refs -= 1;
    this.#shards[at] = undefined;
  }

  addTarget(target: DesiredTarget): void {
    const targets = this.#whole.get(target.mapping) ?? new Set();
    this.#whole.set(target.mapping, targets.add(target));
    this.#targets += 1;
    this.#shards = [];
  }

  removeTarget(target: DesiredTarget): void {
    const targets = this.#whole.get(target.mapping);
    if (targets?.delete(target) !== true) return;
    if (targets.size === 0) this.#whole.delete(target.mapping);
    this.#targets -= 1;
    this.#shards = [];
  }

  /** @param tellsVersions Whether one list shows the versions of all keys. Otherwise the reads are spread. */
  shards(tellsVersions: boolean): readonly Shard[] {
    const { store, include } = this;
    const parts = Math.ceil(
      (tellsVersions ? 1 : this.#refs / READS_PER_SHARD) + this.#targets / READS_PER_SHARD,
    );
    // Use powers of two, so that a new mapping rarely changes the names and due times of the shards.
    this.#spread(Math.min(MAX_SHARDS, 2 ** Math.ceil(Math.log2(Math.max(1, parts)))));
    const shards = this.#buckets.length;
    const owner = include === undefined ? {} : { include: hashOf(include.path).toString(16) };
    let whole: ReadonlyMap<number, readonly DesiredTarget[]> | undefined;
    return this.#buckets.map((refs, shard) => {
      const known = this.#shards[shard];
      if (known !== undefined && known.include === include) return known;
      const all = [...this.#whole.values()].flatMap((targets) => [...targets]);
      whole ??= Map.groupBy(all, ({ id }) => this.#shardOf(formatTarget(id)));
      const made: Shard = {
        sweep: { kind: 'sweep', store, refreshMs: this.#refreshMs, shard, shards, ...owner },
        include,
        refs: [...refs.values()],
        fullRuns: whole.get(shard) ?? [],
      };
      this.#shards[shard] = made;
      return made;
    });
  }

  /** Returns the name of the shard that checks a reference, or runs a target, with this id. */
  nameOf(id: string): string | undefined {
    const sweep = this.#shards[this.#shardOf(id)]?.sweep;
    return sweep && formatSubject(sweep);
  }

  /** Returns the names of the shards that run the targets of a mapping. */
  namesOf(mapping: Mapping): readonly string[] {
    return [...(this.#whole.get(mapping) ?? [])].flatMap(({ id }) => this.nameOf(formatTarget(id)) ?? []);
  }

  #shardOf(id: string): number {
    const shards = this.#buckets.length;
    return shards === 1 ? 0 : spreadOf(id) % shards;
  }

  #spread(shards: number): void {
    if (shards === this.#buckets.length) return;
    const refs = this.#buckets.flatMap((bucket) => [...bucket]);
    this.#buckets = Array.from({ length: shards }, () => new Map());
    for (const [id, ref] of refs) this.#buckets[this.#shardOf(id)]?.set(id, ref);
    this.#shards = [];
  }
}

/** A fast hash (FNV-1a) that is the same in every replica. */
function spreadOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  // The low bits of similar texts are similar, so mix in the high bits.
  return (hash ^ (hash >>> 15)) >>> 0;
}
