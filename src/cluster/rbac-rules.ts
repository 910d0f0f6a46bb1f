import { compareText } from '../core/target.ts';
import { WORKLOAD_APIS } from './api-workloads.ts';
import { WORKLOAD_KINDS, type WorkloadKind } from './workloads.ts';

/** A Secret that a mapping writes, with the operations that it may need beyond create and update. */
export interface RbacSecret {
  readonly secret: string;
  /** The mapping has `onSourceMissing: delete`, `onMappingRemoved: delete` or `recreate`. */
  readonly deletes?: boolean;
  /** With `mode: merge` the Secret is patched, never created or replaced. */
  readonly merges?: boolean;
  /** Workloads of its namespace that restart when it changes. */
  readonly restarts?: readonly RbacRestart[];
}

/** A workload to restart. Without a name it is a selector, which can match any workload. */
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
  /** `names`: only the targets. `namespace`: every Secret in their namespaces. */
  readonly scope: 'names' | 'namespace';
  /** Whether targets are watched. The running service watches them; a one-shot run does not. */
  readonly watch: boolean;
}

/**
 * The minimal rules for these Secrets and the workloads that they restart, for one namespace or for every namespace
 * where the role is bound.
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
  // A merged Secret is never deleted: removing the mapping only removes its keys.
  const deleted = names(targets.filter(({ deletes, merges }) => deletes && !merges));
  const rights: readonly (readonly [verb: string, names: readonly string[]])[] = [
    ['get', sortedUnique([...owned, ...merged])],
    // With `resourceNames`, `list` and `watch` allow requests that select one object by name. Without it, `list` also
    // finds targets that no mapping wants any more.
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

/** For `http.kubernetes`: check who holds a token and what that user may do. Reviews are not namespaced. */
export const REVIEW_RULES: readonly PolicyRule[] = [
  { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
  { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
];

/** For audit checkpoints. A POST cannot be limited by name. */
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
