import { KUBERNETES_EXTERNAL_SECRETS } from '../../../src/import/kubernetes-external-secrets/tool.ts';
import type { ToolApi } from '../../../src/import/objects.ts';
import { SECRETS_STORE_CSI } from '../../../src/import/secrets-store-csi/tool.ts';
import type { Tool } from '../../../src/import/tool.ts';
import { VAULT_SECRETS_OPERATOR } from '../../../src/import/vault-secrets-operator/tool.ts';
import { type Migration, secretsPath } from './migration.ts';

const BYTES = 'ü✓ and a line\n';
export const FIELDS = { user: 'ann', password: 'p@ss w/rd', port: '5432' };

/** The move from one tool: its objects, and the Secrets that it would have created. */
export interface Walk {
  readonly tool: Tool;
  /** Options of the import, besides the usual ones. */
  readonly options: (migration: Migration) => readonly string[];
  /** Whether the tests replace the login, because they lack the identity that the tool uses. */
  readonly needsLogin: boolean;
  /** Creates the objects and their Secrets. Returns the names of the Secrets and the paths of their owners. */
  arrange(
    migration: Migration,
  ): Promise<{ readonly secrets: readonly string[]; readonly owners: readonly string[] }>;
}

interface Owner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: true;
}

async function createSecret(
  { post, namespace }: Migration,
  name: string,
  parts: {
    readonly data: Readonly<Record<string, string>>;
    readonly owner: Owner;
    readonly labels?: Readonly<Record<string, string>>;
  },
): Promise<void> {
  const { data, owner, labels = {} } = parts;
  await post(secretsPath(namespace), {
    metadata: { name, labels, ownerReferences: [owner] },
    stringData: data,
  });
}

function pathOf(
  { group, versions: [version = 'v1'], kinds }: ToolApi,
  kind: string,
  namespace: string,
): string {
  const plural = kinds.find((one) => one.kind === kind)?.plural ?? '';
  return `/apis/${group}/${version}/namespaces/${namespace}/${plural}`;
}

const OPERATOR: Walk = {
  tool: VAULT_SECRETS_OPERATOR,
  options: () => [],
  needsLogin: false,
  async arrange(migration) {
    const { namespace, vault, post } = migration;
    const { api } = VAULT_SECRETS_OPERATOR;
    const apiVersion = `${api.group}/v1beta1`;
    const create = (kind: string, name: string, spec: object, metadata: object = {}) =>
      post(pathOf(api, kind, namespace), { apiVersion, kind, metadata: { name, ...metadata }, spec });
    await post(secretsPath(namespace), {
      metadata: { name: 'login' },
      stringData: { id: vault.env.SECRET_ID },
    });
    await create('VaultConnection', 'vault', { address: vault.address });
    await create('VaultAuth', 'login', {
      vaultConnectionRef: 'vault',
      method: 'appRole',
      mount: vault.prefix,
      appRole: { roleId: vault.env.ROLE_ID, secretRef: 'login' },
    });
    await create('SecretTransformation', 'urls', {
      templates: { url: { text: 'pg://{{ .Secrets.user }}:{{ get .Secrets "password" | b64enc }}@db' } },
      excludes: ['.*'],
    });
    const cases: readonly (readonly [string, object, Readonly<Record<string, string>>])[] = [
      ['all', {}, FIELDS],
      ['some', { includes: ['^(user|password)$'] }, { user: FIELDS.user, password: FIELDS.password }],
      [
        'shared',
        { transformationRefs: [{ name: 'urls' }] },
        { url: `pg://ann:${Buffer.from(FIELDS.password).toString('base64')}@db` },
      ],
      [
        'host',
        {
          excludes: ['.*'],
          templates: { host: { text: '{{ .Secrets.user }}@{{ index .Annotations "host" }}' } },
        },
        { host: 'ann@db.internal' },
      ],
    ];
    const owners: string[] = [];
    for (const [name, transformation, data] of cases) {
      await vault.put(name, FIELDS);
      const { metadata } = await create(
        'VaultStaticSecret',
        name,
        {
          vaultAuthRef: 'login',
          mount: 'secret',
          type: 'kv-v2',
          path: `${vault.prefix}/${name}`,
          refreshAfter: '1m',
          destination: { name, create: true, transformation: { excludeRaw: true, ...transformation } },
        },
        {
          annotations: { host: 'db.internal' },
          finalizers: ['vaultstaticsecret.secrets.hashicorp.com/finalizer'],
        },
      );
      await createSecret(migration, name, {
        data,
        owner: { apiVersion, kind: 'VaultStaticSecret', name, uid: metadata.uid },
        labels: {
          'app.kubernetes.io/managed-by': 'hashicorp-vso',
          'app.kubernetes.io/component': 'secret-sync',
        },
      });
      owners.push(`${pathOf(api, 'VaultStaticSecret', namespace)}/${name}`);
    }
    return { secrets: cases.map(([name]) => name), owners };
  },
};

const CSI: Walk = {
  tool: SECRETS_STORE_CSI,
  options: ({ vault }) => ['--vault-address', vault.address],
  needsLogin: true,
  async arrange(migration) {
    const { namespace, vault, post } = migration;
    const { api } = SECRETS_STORE_CSI;
    await vault.put('db', { ...FIELDS, hex: Buffer.from(BYTES).toString('hex') });
    const path = `secret/data/${vault.prefix}/db`;
    const objects = [
      `- { objectName: pw, secretPath: "${path}", secretKey: password }`,
      `- { objectName: user, secretPath: "${path}", secretKey: user }`,
      `- { objectName: bytes, secretPath: "${path}", secretKey: hex, encoding: hex }`,
    ].join('\n');
    await post(pathOf(api, 'SecretProviderClass', namespace), {
      apiVersion: `${api.group}/v1`,
      kind: 'SecretProviderClass',
      metadata: { name: 'web' },
      spec: {
        provider: 'vault',
        parameters: { roleName: 'shop', objects },
        secretObjects: [
          { secretName: 'db', type: 'Opaque', data: [{ objectName: 'pw', key: 'password' }] },
          { secretName: 'bytes', type: 'Opaque', data: [{ objectName: 'bytes', key: 'bytes' }] },
          { secretName: 'names', type: 'Opaque', data: [{ objectName: 'user', key: 'USER' }] },
        ],
      },
    });
    // The driver makes the ReplicaSets of the pods the owners of the Secrets.
    const replicaSets = `/apis/apps/v1/namespaces/${namespace}/replicasets`;
    const labels = { app: 'web' };
    const { metadata } = await post(replicaSets, {
      metadata: { name: 'web' },
      spec: {
        replicas: 0,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'none' }] } },
      },
    });
    const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: metadata.uid };
    const managed = { 'secrets-store.csi.k8s.io/managed': 'true' };
    await createSecret(migration, 'db', { data: { password: FIELDS.password }, owner, labels: managed });
    await createSecret(migration, 'names', { data: { USER: FIELDS.user }, owner, labels: managed });
    await createSecret(migration, 'bytes', { data: { bytes: BYTES }, owner, labels: managed });
    return { secrets: ['bytes', 'db', 'names'], owners: [`${replicaSets}/web`] };
  },
};

const PREDECESSOR: Walk = {
  tool: KUBERNETES_EXTERNAL_SECRETS,
  options: ({ vault }) => ['--vault-address', vault.address],
  needsLogin: true,
  async arrange(migration) {
    const { namespace, vault, post } = migration;
    const { api } = KUBERNETES_EXTERNAL_SECRETS;
    const apiVersion = `${api.group}/v1`;
    const cases: readonly (readonly [string, (key: string) => object, Readonly<Record<string, string>>])[] = [
      [
        'one',
        (key) => ({ data: [{ key, name: 'PASSWORD', property: 'password' }] }),
        { PASSWORD: FIELDS.password },
      ],
      ['many', (key) => ({ dataFrom: [key] }), FIELDS],
      [
        'text',
        (key) => ({
          data: [{ key, name: 'user', property: 'user' }],
          template: { stringData: { url: 'pg://<%= data.user %>@db' } },
        }),
        { user: 'ann', url: 'pg://ann@db' },
      ],
    ];
    const owners: string[] = [];
    for (const [name, spec, data] of cases) {
      await vault.put(name, FIELDS);
      const { metadata } = await post(pathOf(api, 'ExternalSecret', namespace), {
        apiVersion,
        kind: 'ExternalSecret',
        metadata: { name },
        spec: { backendType: 'vault', vaultRole: 'shop', ...spec(`secret/data/${vault.prefix}/${name}`) },
      });
      const owner = {
        apiVersion,
        kind: 'ExternalSecret',
        name,
        uid: metadata.uid,
        controller: true as const,
      };
      await createSecret(migration, name, { data, owner });
      owners.push(`${pathOf(api, 'ExternalSecret', namespace)}/${name}`);
    }
    return { secrets: cases.map(([name]) => name), owners };
  },
};

export const WALKS: readonly Walk[] = [CSI, OPERATOR, PREDECESSOR];

/** The rights to read the objects of a tool. */
export function readRights({ api, readsWorkloads }: Tool): readonly object[] {
  return [
    { apiGroups: [api.group], resources: ['*'], verbs: ['list'] },
    { apiGroups: [''], resources: ['namespaces'], verbs: ['list'] },
    ...(readsWorkloads === true
      ? [
          { apiGroups: ['apps'], resources: ['deployments', 'statefulsets', 'daemonsets'], verbs: ['list'] },
          { apiGroups: ['batch'], resources: ['cronjobs'], verbs: ['list'] },
        ]
      : []),
  ];
}
