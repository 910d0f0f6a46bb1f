import { isDeepStrictEqual } from 'node:util';
import type { Mapping } from '../core/mapping.ts';
import { refId, type StoreRef } from '../core/read-result.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { formatSubject } from '../queue/subject.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import { refsOf } from '../sync/desired.ts';
import { type Shard, shardsOf } from './sweep/shards.ts';

/**
 * The targets of a configuration, including those in the namespaces that a selector matches now. A snapshot is
 * immutable: a change creates a new one.
 */
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

/** The changes of targets since the start of this process, by `targetKey`. */
export type TargetChanges = ReadonlyMap<string, TargetChange>;

export function createConfigSnapshot(
  mappings: readonly Mapping[],
  targets: readonly DesiredTarget[],
  tellsVersions: (store: string) => boolean,
  changes: TargetChanges = new Map(),
): ConfigSnapshot {
  const resolved = targets.filter(({ error }) => error === undefined);
  const byTarget = Map.groupBy(resolved, ({ id }) => formatTarget(id));
  const byNamespace = Map.groupBy(resolved, ({ id }) => id.namespace);
  const byRef = new Map<string, DesiredTarget[]>();
  for (const desiredTarget of resolved)
    for (const id of refsOf(desiredTarget.mapping).keys()) {
      const users = byRef.get(id);
      if (users === undefined) byRef.set(id, [desiredTarget]);
      else users.push(desiredTarget);
    }
  const shards = new Map(
    shardsOf(resolved, tellsVersions).map((shard) => [formatSubject(shard.sweep), shard]),
  );
  const shardsByMapping = new Map<string, Set<string>>();
  const enter = (mapping: string, shard: string) =>
    shardsByMapping.set(mapping, (shardsByMapping.get(mapping) ?? new Set()).add(shard));
  for (const [name, { refs, fullRuns, include }] of shards) {
    for (const ref of refs)
      for (const { mapping } of byRef.get(refId(ref)) ?? [])
        if (mapping.include?.path === include?.path) enter(mapping.name, name);
    for (const { mapping } of fullRuns) enter(mapping.name, name);
  }
  return {
    mappings,
    targets,
    forTarget: (target) => byTarget.get(formatTarget(target)) ?? [],
    inNamespace: (namespace) => byNamespace.get(namespace) ?? [],
    usersOf: (ref) => byRef.get(refId(ref)) ?? [],
    shards,
    shardsOf: ({ name }) => [...(shardsByMapping.get(name) ?? [])],
    storesOf: (target) =>
      storesOfMappings(
        (byTarget.get(formatTarget(target)) ?? []).map((desiredTarget) => desiredTarget.mapping),
      ),
    changeOf: ({ mapping, id }) =>
      changes.size === 0 ? undefined : changes.get(targetKey(mapping.name, id)),
  };
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

/** A configuration change: the names of the changed mappings, or all mappings. */
export interface ConfigChange {
  readonly mappings: ReadonlySet<string>;
  readonly all: boolean;
}

/**
 * Returns the changes of the targets of a new snapshot.
 *
 * @param before The previous snapshot. It is `undefined` at the start of the process. No target counts as new then,
 * because the previous configuration is unknown.
 * @param change The changed mappings. Omit it if only the namespaces have changed.
 */
export function targetChanges(
  before: ConfigSnapshot | undefined,
  now: readonly DesiredTarget[],
  change: ConfigChange | undefined,
  at: number,
): TargetChanges {
  if (before === undefined) return new Map();
  // If the namespaces of a mapping were unresolved before, any of its targets may have existed.
  const unresolved = new Set(before.targets.flatMap(({ mapping, error }) => (error ? [mapping.name] : [])));
  const known = new Set(before.targets.map(({ mapping, id }) => targetKey(mapping.name, id)));
  const users = Map.groupBy(now, ({ id }) => formatTarget(id));
  const changes = new Map<string, TargetChange>();
  for (const { mapping, id, error } of now) {
    if (error !== undefined) continue;
    const key = targetKey(mapping.name, id);
    const isNew = !known.has(key) && !unresolved.has(mapping.name);
    // Until now another mapping may have claimed the Secret too. No watch event shows that the claim has ended.
    const isFree = (users.get(formatTarget(id))?.length ?? 0) < before.forTarget(id).length;
    const isChanged = change !== undefined && (change.all || change.mappings.has(mapping.name));
    const previous = before.changeOf({ mapping, id });
    if (isNew || isFree || isChanged) changes.set(key, { at, isNew });
    else if (previous !== undefined) changes.set(key, previous);
  }
  return changes;
}

/** Whether the change removes a target of a mapping with `onMappingRemoved: delete`. */
export function removesTargets(before: ConfigSnapshot, now: ConfigSnapshot): boolean {
  const kept = new Set(now.targets.map(({ mapping, id }) => targetKey(mapping.name, id)));
  return before.targets.some(
    ({ mapping, id, error }) =>
      error === undefined && mapping.onMappingRemoved === 'delete' && !kept.has(targetKey(mapping.name, id)),
  );
}

/**
 * Returns the key of a target of one mapping. The mapping is included, because several mappings may merge into one
 * Secret.
 */
export function targetKey(mapping: string, target: TargetId): string {
  return `${mapping} ${formatTarget(target)}`;
}
