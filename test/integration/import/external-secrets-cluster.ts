import { EXTERNAL_SECRETS } from '../../../src/import/external-secrets/tool.ts';
import { kubernetes, type TestCluster } from '../services/inject.ts';
import { type Migration, openMigration } from './migration.ts';

export const GROUP = '/apis/external-secrets.io/v1';

/** A namespace with Secrets of the External Secrets Operator, a store, and an account for the bridge. */
export interface ExternalSecretsCluster extends Migration {
  /** Creates an ExternalSecret and the Secret that it owns. */
  createExternalSecret(name: string, spec: object, data: Readonly<Record<string, string>>): Promise<void>;
  /** Grants the account the right to list External Secrets objects, in one namespace or everywhere. */
  allowList(namespace?: string): Promise<void>;
}

export async function openExternalSecretsCluster(
  testCluster: TestCluster = kubernetes(),
): Promise<ExternalSecretsCluster> {
  const migration = await openMigration(testCluster, EXTERNAL_SECRETS.api);
  const { namespace, account, vault, suffix, post } = migration;
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
    ...migration,
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
    allowList: (namespaceLimit) =>
      migration.allow(
        [
          { apiGroups: ['external-secrets.io'], resources: ['*'], verbs: ['list'] },
          { apiGroups: [''], resources: ['configmaps'], verbs: ['get'] },
          ...(namespaceLimit === undefined
            ? [{ apiGroups: [''], resources: ['namespaces'], verbs: ['list'] }]
            : []),
        ],
        namespaceLimit,
      ),
    async [Symbol.asyncDispose]() {
      await testCluster.request('DELETE', `${GROUP}/clustersecretstores/${storeName}`);
      await migration[Symbol.asyncDispose]();
    },
  };
}
