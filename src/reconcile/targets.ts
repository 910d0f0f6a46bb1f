import type { Cluster } from '../cluster/cluster.ts';
import { AppError } from '../core/errors.ts';
import type { Mapping } from '../core/mapping.ts';
import { compareTargets, compareText, type TargetId } from '../core/target.ts';
import { type DecideDeps, type Decision, decide } from './decide.ts';

/** One target and the mapping that wants it. */
export interface Wanted {
  readonly mapping: Mapping;
  readonly id: TargetId;
  /** Its selector could not be resolved, so that it stands for any number of targets; its namespace is `*`. */
  readonly error?: AppError;
}

const UNKNOWN = '*';

/** Every target that the mappings name themselves, by namespace, then name. */
export function targetsOf(mappings: readonly Mapping[]): readonly Wanted[] {
  return sorted(mappings.flatMap((mapping) => inNamespaces(mapping, mapping.target.namespaces)));
}

/** The same, and those in the namespaces that selectors choose now. The bridge's own namespace is never one. */
export async function resolveTargets(
  mappings: readonly Mapping[],
  cluster: Pick<Cluster, 'namespaces'>,
  ownNamespace: string | undefined,
): Promise<readonly Wanted[]> {
  const found = new Map<string, Promise<readonly string[]>>();
  const namespacesOf = (labels: Readonly<Record<string, string>>): Promise<readonly string[]> => {
    const id = JSON.stringify(Object.entries(labels).sort());
    const result = found.get(id) ?? cluster.namespaces(labels);
    found.set(id, result);
    return result;
  };
  const resolve = async (mapping: Mapping): Promise<readonly Wanted[]> => {
    const { namespaces, namespaceSelector } = mapping.target;
    if (namespaceSelector === undefined) return inNamespaces(mapping, namespaces);
    try {
      const chosen = await namespacesOf(namespaceSelector.matchLabels);
      return inNamespaces(
        mapping,
        chosen.filter((it) => it !== ownNamespace),
      );
    } catch (error) {
      if (error instanceof AppError) return [unresolved(mapping, error)];
      throw error;
    }
  };
  return sorted((await Promise.all(mappings.map(resolve))).flat());
}

/** What is known before the cluster was asked. */
export function unresolvedTargets(mappings: readonly Mapping[]): readonly Wanted[] {
  const error = new AppError('INTERNAL', { detail: 'the namespaces were not looked up yet' });
  const selecting = mappings.filter(({ target }) => target.namespaceSelector !== undefined);
  return sorted([...targetsOf(mappings), ...selecting.map((mapping) => unresolved(mapping, error))]);
}

function unresolved(mapping: Mapping, error: AppError): Wanted {
  return { mapping, id: { namespace: UNKNOWN, secret: mapping.target.secret }, error };
}

function inNamespaces(mapping: Mapping, namespaces: readonly string[]): readonly Wanted[] {
  const { secret } = mapping.target;
  return [...new Set(namespaces)].map((namespace) => ({ mapping, id: { namespace, secret } }));
}

/** Of several mappings that want one target, the first by name is first; the others find it taken, or merge. */
function sorted(targets: readonly Wanted[]): readonly Wanted[] {
  return targets.toSorted(
    (a, b) => compareTargets(a.id, b.id) || compareText(a.mapping.name, b.mapping.name),
  );
}

/** In the order of work: the targets of one mapping after one another, since they are made of the same values. */
export function byMapping(targets: readonly Wanted[]): readonly Wanted[] {
  return targets.toSorted(
    (a, b) => compareText(a.mapping.name, b.mapping.name) || compareTargets(a.id, b.id),
  );
}

/** What a mapping may ever do to its targets beyond creating and changing them. */
export function rightsOf({ target, onSourceMissing, onMappingRemoved }: Mapping): {
  readonly deletes: boolean;
  readonly merges: boolean;
} {
  const merges = target.mode === 'merge';
  const mayDelete = target.recreate || onSourceMissing !== 'keep' || onMappingRemoved === 'delete';
  return { deletes: mayDelete && !merges, merges };
}

/** Whether a mapping wants a target. One whose selector is unknown may want its Secret in any namespace. */
export function wantedIndex(targets: readonly Wanted[]): (mapping: string, id: TargetId) => boolean {
  const index = mappingsByTarget(targets);
  const wants = (mapping: string, namespace: string, secret: string): boolean =>
    index.get(namespace)?.get(secret)?.includes(mapping) ?? false;
  return (mapping, { namespace, secret }) =>
    wants(mapping, namespace, secret) || wants(mapping, UNKNOWN, secret);
}

/** By namespace, then by Secret: a text for each of ten thousand targets would take more than all else in it. */
function mappingsByTarget(
  targets: readonly Wanted[],
): ReadonlyMap<string, ReadonlyMap<string, readonly string[]>> {
  const index = new Map<string, Map<string, readonly string[]>>();
  // Targets of one mapping share its list.
  const alone = new Map<string, readonly string[]>();
  for (const { mapping, id } of targets) {
    const { name } = mapping;
    const secrets = index.get(id.namespace) ?? new Map<string, readonly string[]>();
    index.set(id.namespace, secrets);
    const own = alone.get(name) ?? [name];
    alone.set(name, own);
    const others = secrets.get(id.secret);
    secrets.set(id.secret, others === undefined ? own : [...others, name]);
  }
  return index;
}

/** Whether any mapping wants a target. */
export function wantedByAny(targets: readonly Wanted[]): (id: TargetId) => boolean {
  const index = mappingsByTarget(targets);
  const isWanted = (namespace: string, secret: string): boolean => index.get(namespace)?.has(secret) ?? false;
  return ({ namespace, secret }) => isWanted(namespace, secret) || isWanted(UNKNOWN, secret);
}

/** The targets that may be in a namespace. One whose selector is unknown may be in any. */
export function byNamespace(targets: readonly Wanted[]): (namespace: string) => readonly Wanted[] {
  const known = Map.groupBy(targets, ({ id }) => id.namespace);
  return (namespace) => [...(known.get(namespace) ?? []), ...(known.get(UNKNOWN) ?? [])];
}

/** The namespaces with targets, without the unknown ones. */
export function namespacesOf(targets: readonly Wanted[]): readonly string[] {
  const known = targets.filter(({ error }) => error === undefined);
  return [...new Set(known.map(({ id }) => id.namespace))];
}

export async function decideWanted({ mapping, id, error }: Wanted, deps: DecideDeps): Promise<Decision> {
  if (error === undefined) return decide(mapping, id, deps);
  return { plan: { kind: 'fail', keys: [], error }, desired: { kind: 'failed', error }, live: undefined };
}
