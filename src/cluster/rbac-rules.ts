import { compareText } from '../core/target.ts';
import { WORKLOAD_APIS, WORKLOAD_KINDS, type WorkloadKind } from './workloads.ts';

/** A Secret that a mapping writes, with the permissions that it needs. */
export interface RbacSecret {
  readonly secret: string;
  /** Set if the mapping has `onSourceMissing: delete`, `onMappingRemoved: delete` or `recreate`. */
  readonly deletes?: boolean;
  /** Set for `mode: merge`. secretbridge then patches the Secret and never creates or replaces it. */
  readonly merges?: boolean;
  /** Workloads in the same namespace that restart when the Secret changes. */
  readonly restarts?: readonly RbacRestart[];
}

/**
 * A workload to restart. Without a name, a label selector chooses the workloads, so any workload of the kind may match.
 */
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
  /** `names`: rules only for the target Secrets. `namespace`: rules for every Secret in their namespaces. */
  readonly scope: 'names' | 'namespace';
  /** Whether targets are watched: true for the running service, false for a one-shot run. */
  readonly watch: boolean;
}

/**
 * Returns the minimal rules for these Secrets and the workloads that restart with them. A Role applies them to one
 * namespace, a ClusterRole to every namespace where it is bound.
 */
export function rulesFor(targets: readonly RbacSecret[], scope: Scope): readonly PolicyRule[] {
  return [...secretRules(targets, scope), ...workloadRules(targets)];
}

/** RBAC cannot be limited by labels, so a selector needs access to every workload of its kind. */
function workloadRules(targets: readonly RbacSecret[]): readonly PolicyRule[] {
  const restarts = targets.flatMap((target) => target.restarts ?? []);
  return WORKLOAD_KINDS.flatMap((kind) => {
    const kindRestarts = restarts.filter((restart) => restart.kind === kind);
    if (kindRestarts.length === 0) return [];
    const { group, plural } = WORKLOAD_APIS[kind];
    const rule = { apiGroups: [group], resources: [plural] };
    const names = kindRestarts.flatMap(({ name }) => (name === undefined ? [] : [name]));
    return names.length < kindRestarts.length
      ? [{ ...rule, verbs: ['get', 'list', 'patch'] }]
      : [{ ...rule, resourceNames: sortedUnique(names), verbs: ['get', 'patch'] }];
  });
}

function secretRules(targets: readonly RbacSecret[], { scope, watch }: Scope): readonly PolicyRule[] {
  const names = (list: readonly RbacSecret[]) => sortedUnique(list.map(({ secret }) => secret));
  const owned = names(targets.filter(({ merges }) => !merges));
  const merged = names(targets.filter(({ merges }) => merges));
  // A merged Secret is never deleted. Removing the mapping removes only the keys of the mapping.
  const deleted = names(targets.filter(({ deletes, merges }) => deletes && !merges));
  const rights: readonly (readonly [verb: string, names: readonly string[]])[] = [
    ['get', sortedUnique([...owned, ...merged])],
    // With `resourceNames`, `list` and `watch` allow only requests for one object by name. Without `resourceNames`,
    // `list` also finds orphaned targets.
    ['list', watch || scope === 'namespace' ? sortedUnique([...owned, ...merged]) : []],
    ['watch', watch ? sortedUnique([...owned, ...merged]) : []],
    ['update', owned],
    ['patch', merged],
    ['delete', deleted],
  ];
  const needed = rights.filter(([, list]) => list.length > 0);
  const create = owned.length > 0 ? ['create'] : [];
  if (scope === 'namespace') return [secretsRule([...needed.map(([verb]) => verb), ...create])];
  const byNames = Map.groupBy(needed, ([, list]) => list.join(' '));
  const limited = [...byNames.values()].map((group) =>
    secretsRule(
      group.map(([verb]) => verb),
      group[0]?.[1] ?? [],
    ),
  );
  return create.length > 0 ? [...limited, secretsRule(create)] : limited;
}

/** `watch` detects new namespaces as they appear. */
export const NAMESPACES_RULE: PolicyRule = {
  apiGroups: [''],
  resources: ['namespaces'],
  verbs: ['list', 'watch'],
};

/**
 * For ConfigMaps of teams. Kubernetes cannot limit rights to objects with a label. `get` of the namespace tells a removed
 * ConfigMap from a namespace that is ending. The service writes events about ConfigMaps and Secrets.
 *
 * @param annotates Whether the service writes its answers to annotations of the ConfigMaps.
 */
export function teamRules({ watch }: Pick<Scope, 'watch'>, annotates: boolean): readonly PolicyRule[] {
  return [
    {
      apiGroups: [''],
      resources: ['configmaps'],
      verbs: ['get', 'list', ...(watch ? ['watch', ...(annotates ? ['patch'] : [])] : [])],
    },
    { apiGroups: [''], resources: ['namespaces'], verbs: ['get'] },
    ...(watch ? [{ apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] }] : []),
  ];
}

/** The Secrets that teams may add at any time. Their names are not known, so rules with names do not cover them. */
export function anySecrets({ scope }: Pick<Scope, 'scope'>): readonly RbacSecret[] {
  if (scope === 'names') return [];
  return [
    { secret: '*', deletes: true },
    { secret: '*', merges: true },
  ];
}

/** For `http.kubernetes`: reviews the caller's token and permissions. Reviews are not namespaced. */
export const REVIEW_RULES: readonly PolicyRule[] = [
  { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
  { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
];

/** For audit checkpoints. `create` cannot be limited by name. */
export function checkpointRules(names: readonly string[]): readonly PolicyRule[] {
  const configMaps = { apiGroups: [''], resources: ['configmaps'] };
  return [
    { ...configMaps, resourceNames: sortedUnique(names), verbs: ['get', 'update'] },
    { ...configMaps, verbs: ['create'] },
  ];
}

export function secretsRule(verbs: readonly string[], resourceNames?: readonly string[]): PolicyRule {
  return { apiGroups: [''], resources: ['secrets'], ...(resourceNames ? { resourceNames } : {}), verbs };
}

export function sortedUnique(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort(compareText);
}
