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
  readonly kubeconfig: string;
  readonly ownNamespace: string;
}

/** The administrator, as the other writer. */
export const admin = () => kubernetes().request;

/** A fresh namespace, and an identity that has what `rbac` gives for these Secrets in it and nothing else. */
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
  await grant({
    instance: 'test',
    scope: 'names',
    targets: CONFORMANCE_SECRETS.map((secret) => ({ namespace, secret })),
    ownNamespace,
    secretRefs: ['credentials'],
    serviceAccount: 'secretbridge',
    watch: false,
    ...rights,
  });
  await using stack = new AsyncDisposableStack();
  const another = async () => stack.use(await connect(kubeconfig));
  const cluster = await another();
  await untilAllowed(cluster, namespace);
  const owned = stack.move();
  return {
    cluster,
    namespace,
    ownNamespace,
    kubeconfig,
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
    another: () => connect(kubeconfig),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export function connect(kubeconfig: string, timeoutMs?: number): Promise<Cluster> {
  const timeout = timeoutMs === undefined ? {} : { timeoutMs };
  return createKubernetesCluster({ kubeconfig, env: {}, clock: systemClock, ...timeout });
}

export async function grant(input: RbacInput): Promise<void> {
  for (const object of rbacObjects(input)) {
    const plural = object.kind === 'Role' ? 'roles' : 'rolebindings';
    const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/${object.metadata.namespace}/${plural}`;
    assertStatus(await kubernetes().request('POST', path, object), 201, path);
  }
}

/** The authorizer learns of a new Role by a watch of its own, a moment later. */
async function untilAllowed(cluster: Cluster, namespace: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await cluster.may({ namespace, verb: 'create' }))) {
    if (Date.now() > deadline) throw new Error('the Role did not come into force');
  }
}

function collection({ namespace }: TargetId): string {
  return `/api/v1/namespaces/${namespace}/secrets`;
}

/** A copy of a kubeconfig with one thing changed. */
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
