import { stringify } from 'yaml';
import { append } from '../core/lists.ts';
import type { TargetId } from '../core/target.ts';
import { KUBECTL_YAML } from './json.ts';
import {
  anySecrets,
  checkpointRules,
  NAMESPACES_RULE,
  type PolicyRule,
  type RbacSecret,
  REVIEW_RULES,
  rulesFor,
  type Scope,
  secretsRule,
  sortedUnique,
  teamRules,
} from './rbac-rules.ts';
import { WORKLOAD_APIS } from './workloads.ts';

export type RbacTarget = RbacSecret & TargetId;

export interface RbacInput extends Scope {
  readonly instance: string;
  readonly targets: readonly RbacTarget[];
  /** The Secrets of mappings with a `namespaceSelector`. */
  readonly selected?: readonly RbacSecret[];
  /** The namespace of secretbridge, which also contains the Secrets of `secretRefs`. */
  readonly ownNamespace: string;
  readonly secretRefs: readonly string[];
  /** ConfigMaps for audit checkpoints. The default namespace is the namespace of secretbridge. */
  readonly checkpoints?: readonly { readonly namespace?: string | undefined; readonly name: string }[];
  /** The namespaces of teams' ConfigMaps. */
  readonly teams?: RbacTeams | undefined;
  /** Whether `http.kubernetes` is used. */
  readonly reviews?: boolean;
  readonly serviceAccount: string;
}

export interface RbacTeams {
  readonly namespaces: readonly string[];
  /** Whether a pattern selects other namespaces too. */
  readonly findsNamespaces: boolean;
  /** Where the service writes annotations: the named namespaces, and whether also those of a pattern. */
  readonly annotated?: { readonly namespaces: readonly string[]; readonly findsNamespaces: boolean };
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
 * Returns the minimal permissions for a configuration. The result contains a Role and a RoleBinding for each namespace
 * with targets, sorted by namespace. Roles for credentials and checkpoints follow, then ClusterRoles for namespace
 * selectors and for `http.kubernetes`. The result does not depend on the order of the input lists.
 */
export function rbacObjects(input: RbacInput): readonly RbacObject[] {
  const name = `secretbridge-${input.instance}`;
  const { namespaces: teams = [], findsNamespaces = false, annotated } = input.teams ?? {};
  const targets = [
    ...input.targets,
    ...teams.flatMap((namespace) => anySecrets(input).map((secret) => ({ ...secret, namespace }))),
  ];
  const namespaces = sortedUnique(targets.map(({ namespace }) => namespace));
  const roles = namespaces.map((namespace) => {
    const own = targets.filter((target) => target.namespace === namespace);
    return role(input, name, namespace, rulesFor(own, input));
  });
  for (const namespace of sortedUnique(teams))
    roles.push(
      role(
        input,
        `${name}-config-maps`,
        namespace,
        teamRules(input, annotated?.namespaces.includes(namespace) === true),
      ),
    );
  const refs = sortedUnique(input.secretRefs);
  if (refs.length > 0) {
    roles.push(role(input, `${name}-credentials`, input.ownNamespace, [secretsRule(['get'], refs)]));
  }
  const maps = Map.groupBy(input.checkpoints ?? [], ({ namespace = input.ownNamespace }) => namespace);
  for (const [namespace, list] of maps)
    roles.push(
      role(input, `${name}-checkpoints`, namespace, checkpointRules(list.map((configMap) => configMap.name))),
    );
  append(roles, clusterRoles(input, name, findsNamespaces));
  return roles.flatMap((createdRole) => [createdRole, binding(input, createdRole)]);
}

/**
 * The namespaces of a selector or a pattern are not known in advance, so ClusterRoles are needed. The ClusterRole for
 * the Secrets is separate, so that it can be bound to fewer namespaces than the ClusterRole that lists namespaces.
 */
function clusterRoles(input: RbacInput, name: string, findsNamespaces: boolean): readonly RbacRole[] {
  const selected = [...(input.selected ?? []), ...(findsNamespaces ? anySecrets(input) : [])];
  return [
    ...(selected.length > 0 || findsNamespaces
      ? [role(input, `${name}-namespaces`, undefined, [NAMESPACES_RULE])]
      : []),
    ...(findsNamespaces
      ? [
          role(
            input,
            `${name}-config-maps`,
            undefined,
            teamRules(input, input.teams?.annotated?.findsNamespaces === true),
          ),
        ]
      : []),
    ...(selected.length > 0 ? [role(input, `${name}-selected`, undefined, rulesFor(selected, input))] : []),
    ...(input.reviews ? [role(input, `${name}-reviews`, undefined, REVIEW_RULES)] : []),
  ];
}

/** Creates a Role, or a ClusterRole if there is no namespace. */
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

/** Returns the objects as YAML for `kubectl apply -f -`, with comments on broad permissions. */
export function printRbac(objects: readonly RbacObject[]): string {
  const header =
    '# Minimal permissions of secretbridge for this configuration. Apply with: kubectl apply -f -\n';
  if (objects.length === 0)
    return `${header}# The configuration has no targets, so it needs no permissions.\n`;
  return header + objects.map(printObject).join('');
}

function printObject(object: RbacObject): string {
  const lines = 'rules' in object ? roleComments(object) : bindingComments(object);
  return `---\n${lines.map((line) => `# ${line}\n`).join('')}${stringify(object, KUBECTL_YAML)}`;
}

const WORKLOADS: readonly string[] = Object.values(WORKLOAD_APIS).map(({ plural }) => plural);

function roleComments({ metadata, rules }: RbacRole): readonly string[] {
  const where =
    metadata.namespace === undefined
      ? 'every namespace where it is bound'
      : `the namespace ${metadata.namespace}`;
  const unlimited = rules.filter(({ resourceNames }) => resourceNames === undefined);
  const ofSecrets = unlimited.filter(({ resources }) => resources.includes('secrets'));
  const patched = unlimited
    .filter(({ verbs }) => verbs.includes('patch'))
    .flatMap(({ resources }) => resources);
  const workloads = patched.filter((resource) => WORKLOADS.includes(resource));
  const readsConfigMaps = unlimited.some(
    ({ resources, verbs }) => resources.includes('configmaps') && verbs.includes('list'),
  );
  return [
    ...(readsConfigMaps
      ? [
          `This allows secretbridge to read every ConfigMap in ${where}, not only those with the labels of \`include\`:`,
          'Kubernetes cannot limit rights to labels.',
        ]
      : []),
    ...(patched.includes('configmaps')
      ? [
          `\`statusAnnotation\` allows secretbridge to change every ConfigMap in ${where}. secretbridge changes only its`,
          'annotations under `status.secretbridge.dev/`. Kubernetes cannot limit rights to annotations.',
        ]
      : []),
    ...secretComments(ofSecrets, where),
    ...(workloads.length > 0
      ? [
          `This allows secretbridge to change all ${workloads.join(', ')} in ${where}: \`restart\` has a selector.`,
        ]
      : []),
  ];
}

function secretComments(unlimited: readonly PolicyRule[], where: string): readonly string[] {
  if (unlimited.some(({ verbs }) => verbs.includes('get'))) {
    return [
      `This allows secretbridge to read every Secret in ${where}.`,
      '`cluster: { kind: kubernetes, scope: names }` limits it to the Secrets that secretbridge writes.',
    ];
  }
  return unlimited.length > 0
    ? ['`create` cannot be limited to names: Kubernetes checks access before it knows the name.']
    : [];
}

function bindingComments({ kind, metadata: { name }, subjects }: RbacBinding): readonly string[] {
  if (kind === 'RoleBinding' || !/-(?:selected|config-maps)$/.test(name)) return [];
  const accounts = subjects
    .map((subject) => `--serviceaccount=${subject.namespace}:${subject.name}`)
    .join(' ');
  return [
    'A selector serves new namespaces as they appear, and Kubernetes cannot limit permissions to namespaces with a label.',
    'So this binding covers every namespace, including kube-system. To limit it, leave this binding out, and bind the',
    'ClusterRole in each selected namespace. Until then its targets fail with CLUSTER_FORBIDDEN:',
    `  kubectl create rolebinding ${name} --clusterrole=${name} ${accounts} --namespace=NAMESPACE`,
  ];
}
