import { compareText } from '../core/target.ts';
import { WORKLOAD_APIS } from './api-workloads.ts';
import { WORKLOAD_KINDS, type WorkloadKind } from './workloads.ts';

/** A Secret that a mapping writes, and what it may ever do to it beyond creating and changing it. */
export interface RbacSecret {
  readonly secret: string;
  /** `onSourceMissing: delete`, `onMappingRemoved: delete` or `recreate`. */
  readonly deletes?: boolean;
  /** `mode: merge`: it is patched, never created or replaced. */
  readonly merges?: boolean;
  /** Workloads of its namespace that are rolled when it changes. */
  readonly restarts?: readonly RbacRestart[];
}

/** Without a name it is a selector, which can find any. */
export interface RbacRestart {
  readonly kind: WorkloadKind;
  readonly name?: string | undefined;
}

export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

export interface Scope {
  /** `names`: the targets alone. `namespace`: every Secret of their namespaces. */
  readonly scope: 'names' | 'namespace';
  /** Whether targets are watched, as the running service does and a one-shot run does not. */
  readonly watch: boolean;
}

/** The least rules for these Secrets and what they restart: of one namespace, or of each where they are bound. */
export function rulesFor(targets: readonly RbacSecret[], scope: Scope): readonly PolicyRule[] {
  return [...secretRules(targets, scope), ...workloadRules(targets)];
}

/** Rights cannot be limited to labels: a selector takes every workload of its kind. */
function workloadRules(targets: readonly RbacSecret[]): readonly PolicyRule[] {
  const restarts = targets.flatMap((target) => target.restarts ?? []);
  return WORKLOAD_KINDS.flatMap((kind) => {
    const wanted = restarts.filter((restart) => restart.kind === kind);
    if (wanted.length === 0) return [];
    const { group, plural } = WORKLOAD_APIS[kind];
    const rule = { apiGroups: [group], resources: [plural] };
    const names = wanted.flatMap(({ name }) => (name === undefined ? [] : [name]));
    return names.length < wanted.length
      ? [{ ...rule, verbs: ['get', 'list', 'patch'] }]
      : [{ ...rule, resourceNames: sorted(names), verbs: ['get', 'patch'] }];
  });
}

function secretRules(targets: readonly RbacSecret[], { scope, watch }: Scope): readonly PolicyRule[] {
  const names = (list: readonly RbacSecret[]) => sorted(list.map(({ secret }) => secret));
  const owned = names(targets.filter(({ merges }) => !merges));
  const merged = names(targets.filter(({ merges }) => merges));
  // A merge ends by taking our keys out, whatever the mapping says.
  const deleted = names(targets.filter(({ deletes, merges }) => deletes && !merges));
  const rights: readonly (readonly [verb: string, names: readonly string[]])[] = [
    ['get', sorted([...owned, ...merged])],
    // With `resourceNames` these two work for requests that name one object by a field selector. Without, `list`
    // also finds the targets that no mapping wants any more.
    ['list', watch || scope === 'namespace' ? sorted([...owned, ...merged]) : []],
    ['watch', watch ? sorted([...owned, ...merged]) : []],
    ['update', owned],
    ['patch', merged],
    ['delete', deleted],
  ];
  const needed = rights.filter(([, list]) => list.length > 0);
  const create = owned.length > 0 ? ['create'] : [];
  if (scope === 'namespace') return [secrets([...needed.map(([verb]) => verb), ...create])];
  const byNames = Map.groupBy(needed, ([, list]) => list.join(' '));
  const limited = [...byNames.values()].map((group) =>
    secrets(
      group.map(([verb]) => verb),
      group[0]?.[1] ?? [],
    ),
  );
  return create.length > 0 ? [...limited, secrets(create)] : limited;
}

/** `watch`: new namespaces are served as they appear. */
export const NAMESPACES: PolicyRule = {
  apiGroups: [''],
  resources: ['namespaces'],
  verbs: ['list', 'watch'],
};

/** For `http.kubernetes`: who holds a token, and what they may do. Reviews belong to no namespace. */
export const REVIEWS: readonly PolicyRule[] = [
  { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
  { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
];

/** For checkpoints of the audit. A POST cannot be limited by name. */
export function checkpointRules(names: readonly string[]): readonly PolicyRule[] {
  const configMaps = { apiGroups: [''], resources: ['configmaps'] };
  return [
    { ...configMaps, resourceNames: sorted(names), verbs: ['get', 'update'] },
    { ...configMaps, verbs: ['create'] },
  ];
}

export function secrets(verbs: readonly string[], resourceNames?: readonly string[]): PolicyRule {
  return { apiGroups: [''], resources: ['secrets'], ...(resourceNames ? { resourceNames } : {}), verbs };
}

export function sorted(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort(compareText);
}
