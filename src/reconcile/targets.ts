import type { Cluster } from '../cluster/cluster.ts';
import { AppError } from '../core/errors.ts';
import { formatSelector, type LabelSelector } from '../core/label-selector.ts';
import { difference, resort } from '../core/lists.ts';
import type { Mapping } from '../core/mapping.ts';
import { compareTargets, compareText, type TargetId } from '../core/target.ts';
import { type DecideDeps, type Decision, decide } from './decide.ts';

/** One target and the mapping that wants it. */
export interface DesiredTarget {
  readonly mapping: Mapping;
  readonly id: TargetId;
  /**
   * Set if the namespace selector could not be resolved. This object then stands for any number of targets, and its
   * namespace is `*`.
   */
  readonly error?: AppError;
}

/** The namespace of a target whose selector could not be resolved. */
export const UNKNOWN_NAMESPACE = '*';

/** Returns the targets in explicitly named namespaces, sorted by namespace and name. */
export function targetsOf(mappings: readonly Mapping[]): readonly DesiredTarget[] {
  return sorted(mappings.flatMap(namedTargets));
}

/**
 * Returns the targets in explicitly named namespaces, and those in the namespaces that the selectors match now.
 * Selectors never match the namespace of secretbridge itself.
 */
export async function resolveTargets(
  mappings: readonly Mapping[],
  cluster: Pick<Cluster, 'namespaces'>,
  ownNamespace: string | undefined,
): Promise<readonly DesiredTarget[]> {
  const namespacesBySelector = new Map<string, Promise<readonly string[]>>();
  const namespacesOf = (selector: LabelSelector): Promise<readonly string[]> => {
    const id = formatSelector(selector);
    const result = namespacesBySelector.get(id) ?? cluster.namespaces(selector);
    namespacesBySelector.set(id, result);
    return result;
  };
  const select = async (
    mapping: Mapping,
    namespaceSelector: LabelSelector,
  ): Promise<readonly DesiredTarget[]> => {
    try {
      const chosen = await namespacesOf(namespaceSelector);
      return inNamespaces(
        mapping,
        chosen.filter((namespace) => namespace !== ownNamespace),
      );
    } catch (error) {
      if (error instanceof AppError) return [unresolved(mapping, error)];
      throw error;
    }
  };
  const targets = await Promise.all(
    mappings.map((mapping) => {
      const { namespaceSelector } = mapping.target;
      const named = namespaceSelector === undefined;
      return named ? Promise.resolve(namedTargets(mapping)) : select(mapping, namespaceSelector);
    }),
  );
  return sorted(targets.flat());
}

/**
 * Returns a function like `resolveTargets` that remembers its last result. Without selectors, a call costs what has
 * changed since then.
 */
export function createTargetResolver(): typeof resolveTargets {
  let known: readonly Mapping[] | undefined = [];
  let result: readonly DesiredTarget[] = [];
  return async (mappings, cluster, ownNamespace) => {
    const isFixed = mappings.every(({ target }) => target.namespaceSelector === undefined);
    if (!isFixed || known === undefined) result = await resolveTargets(mappings, cluster, ownNamespace);
    else {
      const { removed, added } = difference(known, mappings);
      const change = { removed: removed.flatMap(namedTargets), added: added.flatMap(namedTargets) };
      result = resort(result, change, compareDesired);
    }
    known = isFixed ? mappings : undefined;
    return result;
  };
}

/** Returns the targets in explicitly named namespaces. */
function namedTargets(mapping: Mapping): readonly DesiredTarget[] {
  const { namespaces, namespaceSelector } = mapping.target;
  // A mapping has either names or a selector.
  if (namespaceSelector !== undefined) return [];
  return targetsByMapping.get(mapping) ?? inNamespaces(mapping, namespaces);
}

/**
 * Returns the targets that are known before the cluster is read. For each mapping with a selector, they include one
 * object with the namespace `*`.
 */
export function unresolvedTargets(mappings: readonly Mapping[]): readonly DesiredTarget[] {
  const error = new AppError('INTERNAL', { detail: 'the namespaces have not been read yet' });
  const selecting = mappings.filter(({ target }) => target.namespaceSelector !== undefined);
  return sorted([...targetsOf(mappings), ...selecting.map((mapping) => unresolved(mapping, error))]);
}

function unresolved(mapping: Mapping, error: AppError): DesiredTarget {
  return { mapping, id: { namespace: UNKNOWN_NAMESPACE, secret: mapping.target.secret }, error };
}

function inNamespaces(mapping: Mapping, namespaces: readonly string[]): readonly DesiredTarget[] {
  const known = targetsByMapping.get(mapping) ?? [];
  const isSame =
    known.length === namespaces.length && known.every(({ id }, at) => id.namespace === namespaces[at]);
  if (isSame) return known;
  const { secret } = mapping.target;
  const targets = [...new Set(namespaces)].map((namespace) => ({ mapping, id: { namespace, secret } }));
  targetsByMapping.set(mapping, targets);
  return targets;
}

/** The last targets of each mapping. The same targets stay the same objects, so that lists of them compare fast. */
const targetsByMapping = new WeakMap<Mapping, readonly DesiredTarget[]>();

/**
 * Sorts by target, then by mapping name. If several mappings want one target, the first of them creates it. The others
 * are refused, or merge their keys into it.
 */
function sorted(targets: readonly DesiredTarget[]): readonly DesiredTarget[] {
  return targets.toSorted(compareDesired);
}

function compareDesired(a: DesiredTarget, b: DesiredTarget): number {
  return compareTargets(a.id, b.id) || compareText(a.mapping.name, b.mapping.name);
}

/**
 * Returns the targets in the order of processing. The targets of one mapping are adjacent, because they share the
 * values that are read.
 */
export function byMapping<T extends DesiredTarget>(targets: readonly T[]): readonly T[] {
  return targets.toSorted(
    (a, b) => compareText(a.mapping.name, b.mapping.name) || compareTargets(a.id, b.id),
  );
}

/** Returns whether a mapping may delete Secrets, and whether it may merge keys into Secrets. */
export function rightsOf({ target, onSourceMissing, onMappingRemoved }: Mapping): {
  readonly deletes: boolean;
  readonly merges: boolean;
} {
  const merges = target.mode === 'merge';
  const mayDelete = target.recreate || onSourceMissing !== 'keep' || onMappingRemoved === 'delete';
  return { deletes: mayDelete && !merges, merges };
}

/**
 * Returns a function that reports whether a mapping wants a target. A mapping with an unresolved selector may want its
 * Secret in any namespace.
 */
export function desiredIndex(targets: readonly DesiredTarget[]): (mapping: string, id: TargetId) => boolean {
  const index = mappingsByTarget(targets);
  const isDesired = (mapping: string, namespace: string, secret: string): boolean =>
    index.get(namespace)?.get(secret)?.includes(mapping) ?? false;
  return (mapping, { namespace, secret }) =>
    isDesired(mapping, namespace, secret) || isDesired(mapping, UNKNOWN_NAMESPACE, secret);
}

/**
 * Maps each namespace, and each Secret in it, to the names of the mappings. The nested maps save memory: ten thousand
 * keys that combine namespace and Secret would need more than the rest of the index.
 */
function mappingsByTarget(
  targets: readonly DesiredTarget[],
): ReadonlyMap<string, ReadonlyMap<string, readonly string[]>> {
  const index = new Map<string, Map<string, readonly string[]>>();
  // Targets of the same mapping share one list, to save memory.
  const singleMappingLists = new Map<string, readonly string[]>();
  for (const { mapping, id } of targets) {
    const { name } = mapping;
    const secrets = index.get(id.namespace) ?? new Map<string, readonly string[]>();
    index.set(id.namespace, secrets);
    const singleMapping = singleMappingLists.get(name) ?? [name];
    singleMappingLists.set(name, singleMapping);
    const mappings = secrets.get(id.secret);
    secrets.set(id.secret, mappings === undefined ? singleMapping : [...mappings, name]);
  }
  return index;
}

/** Returns a function that reports whether any mapping wants a target. */
export function desiredByAny(targets: readonly DesiredTarget[]): (id: TargetId) => boolean {
  const index = mappingsByTarget(targets);
  const isDesired = (namespace: string, secret: string): boolean =>
    index.get(namespace)?.has(secret) ?? false;
  return ({ namespace, secret }) => isDesired(namespace, secret) || isDesired(UNKNOWN_NAMESPACE, secret);
}

/**
 * Returns a function that returns the targets in a namespace. The result includes the targets with an unresolved
 * selector, which may be in any namespace.
 */
export function byNamespace(
  targets: readonly DesiredTarget[],
): (namespace: string) => readonly DesiredTarget[] {
  const byName = Map.groupBy(targets, ({ id }) => id.namespace);
  return (namespace) => [...(byName.get(namespace) ?? []), ...(byName.get(UNKNOWN_NAMESPACE) ?? [])];
}

/** Returns the namespaces that contain targets. Ignores targets with an unresolved selector. */
export function namespacesOf(targets: readonly DesiredTarget[]): readonly string[] {
  const resolved = targets.filter(({ error }) => error === undefined);
  return [...new Set(resolved.map(({ id }) => id.namespace))];
}

export async function decideTarget(
  { mapping, id, error }: DesiredTarget,
  deps: DecideDeps,
): Promise<Decision> {
  if (error === undefined) return decide(mapping, id, deps);
  return { plan: { kind: 'fail', keys: [], error }, desired: { kind: 'failed', error }, live: undefined };
}
