import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { Cluster } from '../../../src/cluster/cluster.ts';
import { createKubernetesCluster } from '../../../src/cluster/kubernetes.ts';
import { type RbacInput, rbacObjects } from '../../../src/cluster/rbac.ts';
import { systemClock } from '../../../src/core/clock.ts';
import type { TargetId } from '../../../src/core/target.ts';
import { type ClusterHarness, CONFORMANCE_SECRETS } from '../../conformance/cluster-harness.ts';
import { kubernetes } from '../services/inject.ts';
import { assertStatus } from '../services/kubernetes-api.ts';

type Raw = Readonly<Record<string, unknown>>;

export interface RealHarness extends ClusterHarness {
  /** The API path of the Role of this identity. */
  readonly role: string;
  readonly kubeconfig: string;
  readonly ownNamespace: string;
  /** Deletes the ClusterRoleBinding `secretbridge-<instance>-<name>`. */
  unbind(name: string): Promise<void>;
  /** Binds the ClusterRole with this name in one namespace. */
  bindIn(namespace: string, name: string): Promise<void>;
}

const RBAC = '/apis/rbac.authorization.k8s.io/v1';

/** Sends requests as the administrator, who acts as another writer. */
export const admin = () => kubernetes().request;

/** Creates a namespace, and an identity with only the rights that `rbac` prints for this input. */
export async function openReal(rights: Partial<RbacInput> = {}): Promise<RealHarness> {
  const suffix = randomBytes(4).toString('hex');
  const namespace = `cluster-${suffix}`;
  const ownNamespace = `bridge-${suffix}`;
  const { request, serviceAccountKubeconfig } = kubernetes();
  assertStatus(
    await request('POST', '/api/v1/namespaces', { metadata: { name: namespace } }),
    201,
    'namespace',
  );
  const kubeconfig = await serviceAccountKubeconfig({ namespace: ownNamespace, name: 'secretbridge' });
  await using stack = new AsyncDisposableStack();
  const instance = `test-${suffix}`;
  const granted = await grant({
    instance,
    scope: 'names',
    targets: [
      ...CONFORMANCE_SECRETS.map((secret) => ({ namespace, secret, deletes: true })),
      { namespace, secret: 'foreign', merges: true },
    ],
    ownNamespace,
    secretRefs: ['credentials'],
    serviceAccount: 'secretbridge',
    watch: false,
    ...rights,
  });
  stack.defer(granted);
  const another = async () => stack.use(await connect(kubeconfig));
  const cluster = await another();
  await untilAllowed(cluster, namespace);
  const owned = stack.move();
  return {
    cluster,
    namespace,
    ownNamespace,
    kubeconfig,
    role: `${RBAC}/namespaces/${namespace}/roles/secretbridge-${instance}`,
    async unbind(name) {
      const path = `${RBAC}/clusterrolebindings/secretbridge-${instance}-${name}`;
      assertStatus(await request('DELETE', path), 200, path);
    },
    async bindIn(target, name) {
      const role = `secretbridge-${instance}-${name}`;
      const binding = {
        metadata: { name: role },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
        subjects: [{ kind: 'ServiceAccount', name: 'secretbridge', namespace: ownNamespace }],
      };
      assertStatus(await request('POST', `${RBAC}/namespaces/${target}/rolebindings`, binding), 201, role);
    },
    async put(id, raw) {
      const body = {
        apiVersion: 'v1',
        kind: 'Secret',
        ...raw,
        metadata: { ...(raw.metadata ?? {}), name: id.secret },
      };
      assertStatus(await request('POST', collection(id), body), 201, 'put');
    },
    async edit(id, patch) {
      const headers = { 'content-type': 'application/merge-patch+json' };
      assertStatus(await request('PATCH', `${collection(id)}/${id.secret}`, patch, headers), 200, 'edit');
    },
    async remove(id) {
      assertStatus(await request('DELETE', `${collection(id)}/${id.secret}`), 200, 'remove');
    },
    async raw(id) {
      const answer = await request<Raw>('GET', `${collection(id)}/${id.secret}`);
      return answer.status === 200 ? answer.body : undefined;
    },
    async label(labels) {
      const headers = { 'content-type': 'application/merge-patch+json' };
      const metadata = { labels: { team: null, tier: null, ...labels } };
      assertStatus(
        await request('PATCH', `/api/v1/namespaces/${namespace}`, { metadata }, headers),
        200,
        'label',
      );
    },
    another: () => connect(kubeconfig),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export function connect(kubeconfig: string, timeoutMs?: number): Promise<Cluster> {
  const timeout = timeoutMs === undefined ? {} : { timeoutMs };
  return createKubernetesCluster({ kubeconfig, env: {}, clock: systemClock, ...timeout });
}

/** Creates RBAC objects. @returns A function that removes the cluster-wide ones. */
export async function grant(input: RbacInput): Promise<() => Promise<void>> {
  const clusterWide: string[] = [];
  for (const { kind, metadata, ...rest } of rbacObjects(input)) {
    const inside = metadata.namespace === undefined ? '' : `namespaces/${metadata.namespace}/`;
    const path = `${RBAC}/${inside}${kind.toLowerCase()}s`;
    assertStatus(await kubernetes().request('POST', path, { kind, metadata, ...rest }), 201, path);
    if (metadata.namespace === undefined) clusterWide.push(`${path}/${metadata.name}`);
  }
  return async () => {
    for (const path of clusterWide) await kubernetes().request('DELETE', path);
  };
}

/** The authorizer receives a new Role through a watch. The Role therefore takes effect after a moment. */
async function untilAllowed(cluster: Cluster, namespace: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await cluster.checkAccess({ namespace, verb: 'create' }))) {
    if (Date.now() > deadline) throw new Error('the Role did not take effect');
  }
}

function collection({ namespace }: TargetId): string {
  return `/api/v1/namespaces/${namespace}/secrets`;
}

/** Writes an edited copy of a kubeconfig, and returns its path. */
export async function variant(kubeconfig: string, edit: (config: Kubeconfig) => void): Promise<string> {
  const config: Kubeconfig = parse(await readFile(kubeconfig, 'utf8'));
  edit(config);
  const path = join(dirname(kubeconfig), `variant-${randomBytes(4).toString('hex')}.kubeconfig`);
  await writeFile(path, stringify(config));
  return path;
}

export interface Kubeconfig {
  clusters: { cluster: Record<string, unknown> }[];
  users: { user: Record<string, unknown> }[];
}
