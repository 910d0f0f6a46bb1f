import { stringify } from 'yaml';
import type { TargetId } from '../core/target.ts';
import {
  checkpointRules,
  NAMESPACES,
  type PolicyRule,
  type RbacSecret,
  REVIEWS,
  rulesFor,
  type Scope,
  secrets,
  sorted,
} from './rbac-rules.ts';
import { FOR_KUBECTL } from './yaml.ts';

export type RbacTarget = RbacSecret & TargetId;

export interface RbacInput extends Scope {
  readonly instance: string;
  readonly targets: readonly RbacTarget[];
  /** Of the mappings with a `namespaceSelector`. */
  readonly selected?: readonly RbacSecret[];
  /** Where the bridge runs, and where its `secretRef`s are. */
  readonly ownNamespace: string;
  readonly secretRefs: readonly string[];
  /** ConfigMaps that checkpoints of the audit go to; without a namespace, in the bridge's own. */
  readonly checkpoints?: readonly { readonly namespace?: string | undefined; readonly name: string }[];
  /** `http.kubernetes`. */
  readonly reviews?: boolean;
  readonly serviceAccount: string;
}

interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface RbacRole {
  readonly apiVersion: 'rbac.authorization.k8s.io/v1';
  readonly kind: 'Role' | 'ClusterRole';
  readonly metadata: Metadata;
  readonly rules: readonly PolicyRule[];
}

export interface RbacBinding {
  readonly apiVersion: 'rbac.authorization.k8s.io/v1';
  readonly kind: 'RoleBinding' | 'ClusterRoleBinding';
  readonly metadata: Metadata;
  readonly roleRef: { readonly apiGroup: string; readonly kind: RbacRole['kind']; readonly name: string };
  readonly subjects: readonly {
    readonly kind: 'ServiceAccount';
    readonly name: string;
    readonly namespace: string;
  }[];
}

export type RbacObject = RbacRole | RbacBinding;

/**
 * The least rights for a configuration: a Role and its RoleBinding for each namespace with targets, in the
 * order of the namespaces, then one for the credentials in the bridge's own namespace, then ClusterRoles for
 * selectors and for callers with a Kubernetes identity. The same input gives the same objects, whatever the order of its lists.
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
  const maps = Map.groupBy(input.checkpoints ?? [], ({ namespace = input.ownNamespace }) => namespace);
  for (const [namespace, list] of maps)
    roles.push(role(input, `${name}-checkpoints`, namespace, checkpointRules(list.map((it) => it.name))));
  // Which namespaces a selector will find is not known beforehand, so a Role in each of them cannot be printed.
  // Two, so that the second can be bound more narrowly.
  if (input.selected !== undefined && input.selected.length > 0) {
    roles.push(role(input, `${name}-namespaces`, undefined, [NAMESPACES]));
    roles.push(role(input, `${name}-selected`, undefined, rulesFor(input.selected, input)));
  }
  if (input.reviews) roles.push(role(input, `${name}-reviews`, undefined, REVIEWS));
  return roles.flatMap((one) => [one, binding(input, one)]);
}

/** Without a namespace it is for all of them. */
function role(
  { instance }: RbacInput,
  name: string,
  namespace: string | undefined,
  rules: readonly PolicyRule[],
): RbacRole {
  const labels = { 'app.kubernetes.io/name': 'secretbridge', 'app.kubernetes.io/instance': instance };
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: namespace === undefined ? 'ClusterRole' : 'Role',
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), labels },
    rules,
  };
}

function binding({ serviceAccount, ownNamespace }: RbacInput, { kind, metadata }: RbacRole): RbacBinding {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: `${kind}Binding`,
    metadata,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: metadata.name },
    subjects: [{ kind: 'ServiceAccount', name: serviceAccount, namespace: ownNamespace }],
  };
}

/** YAML for `kubectl apply -f -`, with a comment on what each object allows. */
export function printRbac(objects: readonly RbacObject[]): string {
  const header =
    '# The least rights of secretbridge for this configuration. Apply with: kubectl apply -f -\n';
  if (objects.length === 0) return `${header}# It has no targets, so it needs none.\n`;
  return header + objects.map(documentOf).join('');
}

function documentOf(object: RbacObject): string {
  const lines = 'rules' in object ? aboutRole(object) : aboutBinding(object);
  return `---\n${lines.map((line) => `# ${line}\n`).join('')}${stringify(object, FOR_KUBECTL)}`;
}

function aboutRole({ metadata, rules }: RbacRole): readonly string[] {
  const where =
    metadata.namespace === undefined
      ? 'every namespace where it is bound'
      : `the namespace ${metadata.namespace}`;
  const unlimited = rules.filter(({ resourceNames }) => resourceNames === undefined);
  const ofSecrets = unlimited.filter(({ resources }) => resources.includes('secrets'));
  const rolled = unlimited
    .filter(({ verbs }) => verbs.includes('patch'))
    .flatMap(({ resources }) => resources);
  const workloads = rolled.filter((resource) => resource !== 'secrets');
  return [
    ...aboutSecrets(ofSecrets, where),
    ...(workloads.length > 0
      ? [
          `With this, secretbridge can change all ${workloads.join(', ')} of ${where}: \`restart\` has a selector.`,
        ]
      : []),
  ];
}

function aboutSecrets(unlimited: readonly PolicyRule[], where: string): readonly string[] {
  if (unlimited.some(({ verbs }) => verbs.includes('get'))) {
    return [
      `With this, secretbridge can read every Secret of ${where}.`,
      '`cluster: { scope: names }` limits it to the Secrets that it writes.',
    ];
  }
  return unlimited.length > 0
    ? ['`create` cannot be limited to names: Kubernetes asks before it knows the name.']
    : [];
}

function aboutBinding({ kind, metadata: { name }, subjects }: RbacBinding): readonly string[] {
  if (kind === 'RoleBinding' || !name.endsWith('-selected')) return [];
  const accounts = subjects.map((one) => `--serviceaccount=${one.namespace}:${one.name}`).join(' ');
  return [
    'A selector serves namespaces as they appear, and Kubernetes cannot limit rights to namespaces with a label: this',
    'holds in every namespace, kube-system included. To limit it, leave this binding out, and bind the ClusterRole in',
    'each namespace that is to be served; until then its targets fail with CLUSTER_FORBIDDEN:',
    `  kubectl create rolebinding ${name} --clusterrole=${name} ${accounts} --namespace=NAMESPACE`,
  ];
}
