import { stringify } from 'yaml';
import { compareText, type TargetId } from '../core/target.ts';

/** A target, and what its mapping may ever do to it beyond creating and changing it. */
export interface RbacTarget extends TargetId {
  /** `onSourceMissing: delete`, `onMappingRemoved: delete` or `recreate`. */
  readonly deletes?: boolean;
  /** `mode: merge`: it is patched, never created or replaced. */
  readonly merges?: boolean;
}

export interface RbacInput {
  readonly instance: string;
  /** `names`: the targets alone. `namespace`: every Secret of their namespaces. */
  readonly scope: 'names' | 'namespace';
  readonly targets: readonly RbacTarget[];
  /** Where the bridge runs, and where its `secretRef`s are. */
  readonly ownNamespace: string;
  readonly secretRefs: readonly string[];
  readonly serviceAccount: string;
  /** Whether targets are watched, as the running service does and a one-shot run does not. */
  readonly watch: boolean;
}

export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface Metadata {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Role {
  readonly apiVersion: 'rbac.authorization.k8s.io/v1';
  readonly kind: 'Role';
  readonly metadata: Metadata;
  readonly rules: readonly PolicyRule[];
}

export interface RoleBinding {
  readonly apiVersion: 'rbac.authorization.k8s.io/v1';
  readonly kind: 'RoleBinding';
  readonly metadata: Metadata;
  readonly roleRef: { readonly apiGroup: string; readonly kind: 'Role'; readonly name: string };
  readonly subjects: readonly {
    readonly kind: 'ServiceAccount';
    readonly name: string;
    readonly namespace: string;
  }[];
}

export type RbacObject = Role | RoleBinding;

/**
 * The least rights for a configuration: a Role and its RoleBinding for each namespace with targets, in the
 * order of the namespaces, then one for the credentials in the bridge's own namespace. The same input gives
 * the same objects, whatever the order of its lists.
 */
export function rbacObjects(input: RbacInput): readonly RbacObject[] {
  const name = `secretbridge-${input.instance}`;
  const namespaces = sorted(input.targets.map(({ namespace }) => namespace));
  const roles = namespaces.map((namespace) => {
    const targets = input.targets.filter((target) => target.namespace === namespace);
    return role(input, name, namespace, rulesFor(targets, input));
  });
  const refs = sorted(input.secretRefs);
  if (refs.length > 0) {
    roles.push(role(input, `${name}-credentials`, input.ownNamespace, [secrets(['get'], refs)]));
  }
  return roles.flatMap((one) => [one, binding(input, one)]);
}

function rulesFor(targets: readonly RbacTarget[], { scope, watch }: RbacInput): readonly PolicyRule[] {
  const names = (list: readonly RbacTarget[]) => sorted(list.map(({ secret }) => secret));
  const owned = names(targets.filter(({ merges }) => !merges));
  const merged = names(targets.filter(({ merges }) => merges));
  const deleted = names(targets.filter(({ deletes }) => deletes));
  const rights: readonly (readonly [verb: string, names: readonly string[]])[] = [
    ['get', sorted([...owned, ...merged])],
    // With `resourceNames` these two work for requests that name one object by a field selector.
    ['list', watch ? sorted([...owned, ...merged]) : []],
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

function secrets(verbs: readonly string[], resourceNames?: readonly string[]): PolicyRule {
  return { apiGroups: [''], resources: ['secrets'], ...(resourceNames ? { resourceNames } : {}), verbs };
}

function role({ instance }: RbacInput, name: string, namespace: string, rules: readonly PolicyRule[]): Role {
  const labels = { 'app.kubernetes.io/name': 'secretbridge', 'app.kubernetes.io/instance': instance };
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name, namespace, labels },
    rules,
  };
}

function binding({ serviceAccount, ownNamespace }: RbacInput, { metadata }: Role): RoleBinding {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: metadata.name },
    subjects: [{ kind: 'ServiceAccount', name: serviceAccount, namespace: ownNamespace }],
  };
}

function sorted(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort(compareText);
}

/** YAML for `kubectl apply -f -`, with a comment on what each Role allows. */
export function printRbac(objects: readonly RbacObject[]): string {
  const header =
    '# The least rights of secretbridge for this configuration. Apply with: kubectl apply -f -\n';
  if (objects.length === 0) return `${header}# It has no targets, so it needs none.\n`;
  return (
    header +
    objects.map((object) => `---\n${commentOf(object)}${stringify(object, { lineWidth: 0 })}`).join('')
  );
}

function commentOf(object: RbacObject): string {
  if (object.kind === 'RoleBinding') return '';
  const unlimited = object.rules.filter(({ resourceNames }) => resourceNames === undefined);
  const readsAll = unlimited.some(({ verbs }) => verbs.includes('get'));
  const lines = readsAll
    ? [
        `With this, secretbridge can read every Secret of the namespace ${object.metadata.namespace}.`,
        '`cluster: { scope: names }` limits it to the Secrets that it writes.',
      ]
    : unlimited.length > 0
      ? ['`create` cannot be limited to names: Kubernetes asks before it knows the name.']
      : [];
  return lines.map((line) => `# ${line}\n`).join('');
}
