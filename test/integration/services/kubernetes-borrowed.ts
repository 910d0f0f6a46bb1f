import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Connection, createRequest, tryRequest } from './http.ts';
import { readKubeconfig, writeKubeconfig } from './kubeconfig.ts';
import type { Kubernetes } from './kubernetes.ts';
import { assertStatus, createKubernetesApi } from './kubernetes-api.ts';
import { BORROWED, ServiceError } from './service.ts';

const ADMIN = { namespace: 'kube-system', name: 'secretbridge-test-admin' };
const BINDING = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings';

/** Borrows the cluster of the kubeconfig at this path. Returns undefined when the cluster is gone. */
export async function borrowKubernetesIfThere(path: string): Promise<Kubernetes | undefined> {
  if (!existsSync(path) || !(await isReachable(await readKubeconfig(path)))) return undefined;
  return borrowKubernetes(path);
}

async function isReachable(connection: Connection): Promise<boolean> {
  const answer = await tryRequest(createRequest(connection), 'GET', '/api/v1/namespaces');
  return answer?.status === 200;
}

/** Uses an existing cluster through the current context of its kubeconfig. */
export async function borrowKubernetes(path: string): Promise<Kubernetes> {
  const connection = await readKubeconfig(path);
  const { address, ca } = connection;
  if (!(await isReachable(connection))) {
    throw new ServiceError(
      `The cluster of ${path} does not answer to its credentials. Check SECRETBRIDGE_TEST_KUBECONFIG, or unset ` +
        'it to start a new server.',
    );
  }
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-kubernetes-'));
  const caFile = join(folder, 'ca.crt');
  await writeFile(caFile, ca);
  const admin = await adminToken(connection, { address, caFile, folder });
  const kubeconfig = join(folder, 'admin.kubeconfig');
  await writeKubeconfig(kubeconfig, { address, ca, user: 'admin', token: admin.token, namespace: 'default' });
  const { request: _, ...helpers } = createKubernetesApi({ address, caFile, folder, token: admin.token });
  const stop = async () => {
    await admin.remove();
    await rm(folder, { recursive: true, force: true });
  };
  return {
    ...helpers,
    name: 'Kubernetes',
    address,
    caFile,
    adminToken: admin.token,
    kubeconfig,
    folder,
    ...BORROWED,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/**
 * Tests need a bearer token. For a kubeconfig with a client certificate (kind, minikube), a new service account
 * provides the token.
 */
async function adminToken(
  connection: Connection,
  files: { address: string; caFile: string; folder: string },
) {
  const bearer = connection.headers?.authorization?.replace(/^Bearer /, '');
  if (bearer !== undefined) return { token: bearer, remove: async () => {} };

  const request = createRequest(connection);
  const { serviceAccountToken } = createKubernetesApi({ ...files, token: '' }, request);
  const token = await serviceAccountToken({ ...ADMIN, expirationSeconds: 24 * 3600 });
  const answer = await request('POST', BINDING, {
    metadata: { name: ADMIN.name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', ...ADMIN }],
  });
  if (answer.status !== 409) assertStatus(answer, 201, `POST ${BINDING}`);
  return {
    token,
    async remove() {
      await request('DELETE', `${BINDING}/${ADMIN.name}`);
      await request('DELETE', `/api/v1/namespaces/${ADMIN.namespace}/serviceaccounts/${ADMIN.name}`);
    },
  };
}
