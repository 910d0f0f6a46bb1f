import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { type Run, runInProcess } from '../e2e/program.ts';
import { openVault, type Vault } from '../e2e/vault.ts';
import { kubernetes, type TestCluster } from '../services/inject.ts';
import { assertStatus } from '../services/kubernetes-api.ts';

export const GROUP = '/apis/external-secrets.io/v1';

/** A namespace with Secrets of the External Secrets Operator, a store, and an account for the bridge. */
export interface ExternalSecretsCluster extends AsyncDisposable {
  readonly folder: string;
  readonly namespace: string;
  readonly account: { readonly namespace: string; readonly name: string };
  readonly kubeconfig: string;
  readonly vault: Vault;
  /** Creates an ExternalSecret and the Secret that it owns. */
  createExternalSecret(name: string, spec: object, data: Readonly<Record<string, string>>): Promise<void>;
  run(...args: readonly string[]): Promise<Run>;
  /** Grants the account the right to list External Secrets objects, in one namespace or everywhere. */
  allowList(namespace?: string): Promise<void>;
  apply(yaml: string): Promise<void>;
  get<T>(path: string): Promise<T>;
}

export async function openExternalSecretsCluster(
  testCluster: TestCluster = kubernetes(),
): Promise<ExternalSecretsCluster> {
  const { request, serviceAccountKubeconfig } = testCluster;
  const suffix = randomBytes(4).toString('hex');
  const namespace = `theirs-${suffix}`;
  const account = { namespace: `bridge-${suffix}`, name: 'secretbridge' };
  const post = async (path: string, body: object) => {
    const answer = await request<{ metadata: { uid: string } }>('POST', path, body);
    assertStatus(answer, 201, `POST ${path}`);
    return answer.body;
  };
  await defineKinds(testCluster);
  const vault = await openVault();
  await post('/api/v1/namespaces', { metadata: { name: namespace } });
  const kubeconfig = await serviceAccountKubeconfig(account);
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-import-'));
  await post(`/api/v1/namespaces/${account.namespace}/secrets`, {
    metadata: { name: 'vault-login' },
    stringData: { id: vault.env.SECRET_ID },
  });
  const storeName = `vault-${suffix}`;
  await post(`${GROUP}/clustersecretstores`, {
    apiVersion: 'external-secrets.io/v1',
    kind: 'ClusterSecretStore',
    metadata: { name: storeName },
    spec: {
      provider: {
        vault: {
          server: vault.address,
          path: 'secret',
          version: 'v2',
          auth: {
            appRole: {
              path: vault.prefix,
              roleId: vault.env.ROLE_ID,
              secretRef: { name: 'vault-login', key: 'id', namespace: account.namespace },
            },
          },
        },
      },
    },
  });

  return {
    folder,
    namespace,
    account,
    kubeconfig,
    vault,
    async createExternalSecret(name, spec, data) {
      const metadata = { name, finalizers: ['externalsecrets.external-secrets.io/externalsecret-cleanup'] };
      const { metadata: created } = await post(`${GROUP}/namespaces/${namespace}/externalsecrets`, {
        apiVersion: 'external-secrets.io/v1',
        kind: 'ExternalSecret',
        metadata,
        spec: {
          secretStoreRef: { name: storeName, kind: 'ClusterSecretStore' },
          refreshInterval: '1h',
          ...spec,
        },
      });
      await post(`/api/v1/namespaces/${namespace}/secrets`, {
        metadata: {
          name,
          labels: { 'reconcile.external-secrets.io/managed': 'true' },
          annotations: { 'reconcile.external-secrets.io/data-hash': 'abc' },
          ownerReferences: [
            {
              apiVersion: 'external-secrets.io/v1',
              kind: 'ExternalSecret',
              name,
              uid: created.uid,
              controller: true,
              blockOwnerDeletion: true,
            },
          ],
        },
        stringData: data,
      });
    },
    run: (...args) => runInProcess(args, { cwd: folder, env: { KUBECONFIG: kubeconfig } }),
    async allowList(namespaceLimit) {
      const rules = [
        { apiGroups: ['external-secrets.io'], resources: ['*'], verbs: ['list'] },
        ...(namespaceLimit === undefined
          ? [{ apiGroups: [''], resources: ['namespaces'], verbs: ['list'] }]
          : []),
      ];
      const kind = namespaceLimit === undefined ? 'ClusterRole' : 'Role';
      const base = `/apis/rbac.authorization.k8s.io/v1${namespaceLimit === undefined ? '' : `/namespaces/${namespaceLimit}`}`;
      const name = `import-${suffix}`;
      const plural = kind === 'Role' ? 'role' : 'clusterrole';
      await post(`${base}/${plural}s`, { metadata: { name }, rules });
      await post(`${base}/${plural}bindings`, {
        metadata: { name },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
        subjects: [{ kind: 'ServiceAccount', ...account }],
      });
    },
    async apply(yaml) {
      for (const document of parseAllDocuments(yaml)) {
        const object = document.toJS() as { kind: string; metadata: { namespace: string } };
        const plural = object.kind === 'Role' ? 'roles' : 'rolebindings';
        await post(
          `/apis/rbac.authorization.k8s.io/v1/namespaces/${object.metadata.namespace}/${plural}`,
          object,
        );
      }
    },
    async get<T>(path: string) {
      const answer = await request<T>('GET', path);
      assertStatus(answer, 200, `GET ${path}`);
      return answer.body;
    },
    async [Symbol.asyncDispose]() {
      await request('DELETE', `${GROUP}/clustersecretstores/${storeName}`);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Defines the custom resources with an open schema. Parallel tests share the definitions. */
async function defineKinds({ request }: TestCluster): Promise<void> {
  const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  for (const kind of ['ExternalSecret', 'SecretStore', 'ClusterSecretStore', 'ClusterExternalSecret']) {
    const plural = `${kind.toLowerCase()}s`;
    const answer = await request('POST', crds, {
      metadata: { name: `${plural}.external-secrets.io` },
      spec: {
        group: 'external-secrets.io',
        names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
        scope: kind.startsWith('Cluster') ? 'Cluster' : 'Namespaced',
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
          },
        ],
      },
    });
    if (answer.status !== 409) assertStatus(answer, 201, `POST ${plural}`);
  }
  await until(async () => {
    const answers = await Promise.all(
      ['externalsecrets', 'secretstores', 'clustersecretstores', 'clusterexternalsecrets'].map((plural) =>
        request('GET', `${GROUP}/${plural}?limit=1`),
      ),
    );
    return answers.every(({ status }) => status === 200);
  });
}

/** Polls, because the API server applies new kinds and rights after a moment. */
export async function until(check: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error('the condition did not become true');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
