import { isDeepStrictEqual } from 'node:util';
import { type Difference, difference } from '../core/lists.ts';
import type { Mapping } from '../core/mapping.ts';
import type { StoreRef } from '../core/read-result.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { TargetIndex } from '../reconcile/target-index.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import { ShardIndex } from './sweep/shard-index.ts';
import type { Shard } from './sweep/shards.ts';

/** The targets of a configuration, including those in the namespaces that a selector matches now. */
export interface ConfigSnapshot {
  readonly mappings: readonly Mapping[];
  readonly targets: readonly DesiredTarget[];
  /** Returns all mappings that want this Secret. Several mappings may merge into it. */
  forTarget(target: TargetId): readonly DesiredTarget[];
  inNamespace(namespace: string): readonly DesiredTarget[];
  /** Returns the targets that use a reference. */
  usersOf(ref: StoreRef): readonly DesiredTarget[];
  /** Keyed by subject. */
  readonly shards: ReadonlyMap<string, Shard>;
  /** Returns the names of the shards that check the sources of a mapping. */
  shardsOf(mapping: Mapping): readonly string[];
  /** Returns the stores of a target's mappings, sorted. */
  storesOf(target: TargetId): readonly string[];
  /** Returns the last change of a target in this process. */
  changeOf(desired: DesiredTarget): TargetChange | undefined;
}

/** A change of a target's configuration. */
export interface TargetChange {
  /** Time of the steady clock. */
  readonly at: number;
  /** Whether the target was added, by a new mapping or a newly selected namespace. */
  readonly isNew: boolean;
}

/** A configuration change: the names of the changed mappings, or all mappings. */
export interface ConfigChange {
  readonly mappings: ReadonlySet<string>;
  readonly all: boolean;
  /** Set if the change only adds mappings. Then no target on record has lost its mapping. */
  readonly isAddition?: boolean;
}

/** The difference between two snapshots. */
export interface SnapshotChange {
  readonly before: ConfigSnapshot;
  readonly now: ConfigSnapshot;
  /** The targets that their mapping does not want any more. */
  readonly removed: readonly DesiredTarget[];
  /** The targets that need a run because of the change. */
  readonly changed: readonly DesiredTarget[];
}

export interface SnapshotUpdate {
  readonly mappings: readonly Mapping[];
  readonly targets: readonly DesiredTarget[];
  /** The changed mappings. Omit it if only the namespaces have changed. */
  readonly change?: ConfigChange | undefined;
  /** Time of the steady clock. Omit it if no target counts as changed, because the previous snapshot is unknown. */
  readonly at?: number | undefined;
}

/** @param tellsVersions Whether one list of a store shows the versions of all its keys. */
export function createConfigSnapshot(
  mappings: readonly Mapping[],
  targets: readonly DesiredTarget[],
  tellsVersions: (store: string) => boolean,
): ConfigSnapshot {
  return new SnapshotIndex(tellsVersions).update({ mappings, targets }).now;
}

/**
 * Creates the snapshots of one service. All of them share one index, which answers for the newest snapshot. So a change
 * costs what has changed, and not the number of targets.
 */
export class SnapshotIndex {
  readonly #targets = new TargetIndex();
  readonly #shards: ShardIndex;
  /** The last changes of targets since the start of this process, by `targetKey`. */
  readonly #changes = new Map<string, TargetChange>();
  #snapshot: ConfigSnapshot;

  constructor(tellsVersions: (store: string) => boolean) {
    this.#shards = new ShardIndex(tellsVersions);
    this.#snapshot = this.#snapshotOf([], []);
  }

  get snapshot(): ConfigSnapshot {
    return this.#snapshot;
  }

  update({ mappings, targets, change, at }: SnapshotUpdate): SnapshotChange {
    const before = this.#snapshot;
    const all = difference(before.targets, targets);
    const [removed, added] = [all.removed, all.added].map((list) =>
      list.filter(({ error }) => error === undefined),
    );
    const resolved = { removed: removed ?? [], added: added ?? [] };
    this.#targets.update(resolved);
    this.#shards.update(resolved);
    this.#snapshot = this.#snapshotOf(mappings, targets);
    const wanted = new Set(resolved.added.map(({ mapping, id }) => targetKey(mapping.name, id)));
    const dropped = resolved.removed.filter(({ mapping, id }) => !wanted.has(targetKey(mapping.name, id)));
    for (const { mapping, id } of dropped) this.#changes.delete(targetKey(mapping.name, id));
    const changed = at === undefined ? [] : this.#noteChanges(before, resolved, change, at);
    return { before, now: this.#snapshot, removed: dropped, changed };
  }

  #noteChanges(
    before: ConfigSnapshot,
    { removed, added }: Difference<DesiredTarget>,
    change: ConfigChange | undefined,
    at: number,
  ): readonly DesiredTarget[] {
    // If the namespaces of a mapping were unresolved before, any of its targets may have existed.
    const unresolved = new Set(before.targets.flatMap(({ mapping, error }) => (error ? [mapping.name] : [])));
    const known = new Set(removed.map(({ mapping, id }) => targetKey(mapping.name, id)));
    const isNew = ({ mapping, id }: DesiredTarget) =>
      !known.has(targetKey(mapping.name, id)) && !unresolved.has(mapping.name);
    const fresh = new Set(added.filter(isNew));
    // A mapping is also changed if one of its stores is, and then it is still the same object.
    const others = change?.mappings.difference(new Set(added.map(({ mapping }) => mapping.name)));
    const isChanged = ({ mapping }: DesiredTarget) => change?.all || others?.has(mapping.name);
    const changed = new Set([
      ...fresh,
      ...added.filter(({ mapping }) => change?.mappings.has(mapping.name)),
      ...(change?.all || (others?.size ?? 0) > 0 ? this.#snapshot.targets.filter(isChanged) : []),
      ...freedBy(removed, added).flatMap((id) => this.#targets.get(id)),
    ]);
    for (const target of changed)
      this.#changes.set(targetKey(target.mapping.name, target.id), { at, isNew: fresh.has(target) });
    return [...changed].filter(({ error }) => error === undefined);
  }

  #snapshotOf(mappings: readonly Mapping[], targets: readonly DesiredTarget[]): ConfigSnapshot {
    const [index, shards, changes] = [this.#targets, this.#shards, this.#changes];
    return {
      mappings,
      targets,
      forTarget: (target) => index.get(target),
      inNamespace: (namespace) => index.inNamespace(namespace),
      usersOf: (ref) => shards.usersOf(ref),
      shards: shards.shards(),
      shardsOf: (mapping) => shards.shardsOf(mapping),
      storesOf: (target) => storesOfMappings(index.get(target).map(({ mapping }) => mapping)),
      changeOf: ({ mapping, id }) =>
        changes.size === 0 ? undefined : changes.get(targetKey(mapping.name, id)),
    };
  }
}

/**
 * Returns the Secrets that fewer mappings want than before. Until now another mapping may have claimed the Secret too.
 * No watch event shows that the claim has ended.
 */
function freedBy(removed: readonly DesiredTarget[], added: readonly DesiredTarget[]): readonly TargetId[] {
  const counts = new Map<string, { readonly id: TargetId; count: number }>();
  const add = ({ id }: DesiredTarget, by: number) => {
    const name = formatTarget(id);
    const entry = counts.get(name) ?? { id, count: 0 };
    entry.count += by;
    counts.set(name, entry);
  };
  for (const target of removed) add(target, -1);
  for (const target of added) add(target, 1);
  return [...counts.values()].flatMap(({ id, count }) => (count < 0 ? [id] : []));
}

export function storesOfMappings(mappings: readonly Mapping[]): readonly string[] {
  const stores = mappings.flatMap((mapping) => [
    ...Object.values(mapping.data).map(({ store }) => store),
    ...mapping.dataFrom.map(({ store }) => store),
  ]);
  return [...new Set(stores)].sort();
}

/**
 * If the namespaces of a mapping cannot be resolved, keeps the previous targets of the mapping. Otherwise a failed
 * lookup would turn these targets into orphans.
 */
export function keepUnresolved(
  now: readonly DesiredTarget[],
  before: readonly DesiredTarget[],
): readonly DesiredTarget[] {
  const kept = now.flatMap(({ mapping, error }) =>
    error === undefined
      ? []
      : before
          .filter(
            (targets) =>
              targets.error === undefined &&
              targets.mapping.name === mapping.name &&
              selectsSameTargets(targets.mapping, mapping),
          )
          .map(({ id }) => ({ mapping, id })),
  );
  return [...now, ...kept];
}

function selectsSameTargets({ target: before }: Mapping, { target: now }: Mapping): boolean {
  return before.secret === now.secret && isDeepStrictEqual(before.namespaceSelector, now.namespaceSelector);
}

/** Returns the target of one mapping, or `undefined` if the mapping does not want it. */
export function desiredIn(
  snapshot: ConfigSnapshot,
  { mapping, target }: { readonly mapping: string; readonly target: TargetId },
): DesiredTarget | undefined {
  return snapshot.forTarget(target).find((targets) => targets.mapping.name === mapping);
}

/**
 * Returns the key of a target of one mapping. The mapping is included, because several mappings may merge into one
 * Secret.
 */
export function targetKey(mapping: string, target: TargetId): string {
  return `${mapping} ${formatTarget(target)}`;
}
