import { KUBERNETES_EXTERNAL_SECRETS } from '../../../src/import/kubernetes-external-secrets/tool.ts';
import { changed, type FieldTable, field, lost, without } from './case.ts';

const ROLE = 'arn:aws:iam::123456789012:role/shop';
const ITEM = { key: 'shop/db', name: 'password', property: 'password' };

function make(spec: object): object {
  return {
    apiVersion: 'kubernetes-client.io/v1',
    kind: 'ExternalSecret',
    metadata: { name: 'db', namespace: 'shop' },
    spec,
  };
}

export function aws(spec: object = {}): object {
  return make({ backendType: 'secretsManager', region: 'eu-west-1', data: [ITEM], ...spec });
}

export function vault(spec: object = {}): object {
  return make({
    backendType: 'vault',
    vaultRole: 'shop',
    data: [{ ...ITEM, key: 'secret/data/shop/db' }],
    ...spec,
  });
}

function azure(spec: object = {}): object {
  return make({
    backendType: 'azureKeyVault',
    keyVaultName: 'contoso',
    data: [{ key: 'pw', name: 'password' }],
    ...spec,
  });
}

function parameters(spec: object = {}): object {
  return make({
    backendType: 'systemManager',
    region: 'eu-west-1',
    data: [{ key: '/shop/pw', name: 'password' }],
    ...spec,
  });
}

/** The controller, whose variables are settings of all objects. */
export function controller(variables: Readonly<Record<string, unknown>> = {}): object {
  const all = { VAULT_ADDR: 'https://vault.internal:8200', ...variables };
  const env = Object.entries(all).map(([name, value]) => ({
    name,
    ...(typeof value === 'string' ? { value } : { valueFrom: { secretKeyRef: value } }),
  }));
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'kubernetes-external-secrets', namespace: 'kes' },
    spec: { template: { spec: { containers: [{ name: 'controller', env }] } } },
  };
}

const item = (fields: object) => aws({ data: [{ ...ITEM, ...fields }] });
const template = (fields: object) => aws({ template: fields });
const AZURE = {
  AZURE_TENANT_ID: 't',
  AZURE_CLIENT_ID: 'c',
  AZURE_CLIENT_SECRET: { name: 'azure', key: 's' },
};

export const KUBERNETES_EXTERNAL_SECRETS_FIELDS: FieldTable = {
  tool: KUBERNETES_EXTERNAL_SECRETS,
  page: 'docs/how-to/move-from-kubernetes-external-secrets.md',
  groups: [
    {
      title: 'Backends',
      base: [aws()],
      cases: [
        field('backendType: secretsManager', 'a store with `kind: aws-secrets-manager`', [
          aws({ backendType: 'secretsManager', region: 'us-east-1' }),
        ]),
        field('backendType: secretManager', 'the same', [
          aws({ backendType: 'secretManager', region: 'us-east-1' }),
        ]),
        field('backendType: systemManager', 'a store with `kind: aws-parameter-store`', [
          aws({ backendType: 'systemManager', data: [{ ...ITEM, key: '/shop/db' }] }),
        ]),
        {
          ...changed('backendType: vault', 'a store with `kind: vault`, one for each mount', [
            vault(),
            controller(),
          ]),
          base: [],
        },
        {
          ...changed('backendType: azureKeyVault', 'a store with `kind: azure-key-vault`', [azure()]),
          base: [],
        },
        lost(
          'backendType: gcpSecretsManager, alicloudSecretsManager, ibmcloudSecretsManager, akeyless',
          'secretbridge does not read these stores',
          [aws({ backendType: 'gcpSecretsManager' })],
        ),
        field('region', '`region`. If it is missing: `--region`', [aws({ region: 'us-west-2' })]),
        changed('roleArn', '`assumeRole`, with the identity of the pod of secretbridge', [
          aws({ roleArn: ROLE }),
        ]),
        { ...field('keyVaultName', '`vaultUrl`', [azure({ keyVaultName: 'fabrikam' })]), base: [azure()] },
        {
          ...changed('vaultRole', '`auth.role`. The role must accept the service account of secretbridge', [
            vault({ vaultRole: 'other' }),
            controller(),
          ]),
          base: [vault(), controller()],
        },
        {
          ...field('vaultMountPoint', '`auth.mountPath`', [vault({ vaultMountPoint: 'k8s' }), controller()]),
          base: [vault(), controller()],
        },
        {
          ...changed('kvVersion', '`kvVersion`. Check the mount of version 1', [
            vault({ kvVersion: 1, data: [{ ...ITEM, key: 'kv1/shop/db' }] }),
            controller(),
          ]),
          base: [vault(), controller()],
        },
      ],
    },
    {
      title: 'Sources',
      base: [aws()],
      cases: [
        field('data[].key', '`key`', [item({ key: 'shop/other' })]),
        field('data[].name', 'the key of `data`', [item({ name: 'PASSWORD' })]),
        field('data[].property', '`property`', [item({ property: 'users[0].name' })]),
        changed('data[].isBinary', '`decode: base64`. A binary value of Secrets Manager needs no `decode`', [
          item({ isBinary: true }),
        ]),
        {
          ...field('data[].isBinary, other backends', '`decode: base64`', [
            azure({ data: [{ key: 'pw', name: 'password', isBinary: true }] }),
          ]),
          base: [azure()],
        },
        field('data[].versionStage', '`version`', [item({ versionStage: 'AWSPREVIOUS' })]),
        field('data[].versionId', '`version`', [item({ versionId: '7e6c4b4e-0000-4000-8000-000000000001' })]),
        {
          ...field('data[].key with a version', '`version` of a parameter', [
            parameters({ data: [{ key: '/shop/pw:3', name: 'password' }] }),
          ]),
          base: [parameters()],
        },
        {
          ...changed('data[].path', '`dataFrom` with `find`', [
            parameters({ data: [{ key: '/shop/pw', name: 'password' }, { path: '/shop/all/' }] }),
          ]),
          base: [parameters()],
        },
        {
          ...lost('data[].recursive', 'gives each key only the last part of its name', [
            parameters({ data: [{ path: '/shop/', recursive: true }] }),
          ]),
          base: [parameters()],
        },
        field('dataFrom', '`dataFrom` with `key`', [aws({ data: undefined, dataFrom: ['shop/db'] })]),
        changed('dataFrom beside data', 'the same key in two sources is an error', [
          aws({ dataFrom: ['shop/db'] }),
        ]),
        field('dataFromWithOptions[].key', '`dataFrom` with `key`', [
          aws({ data: undefined, dataFromWithOptions: [{ key: 'shop/db' }] }),
        ]),
        field('dataFromWithOptions[].versionStage', '`version`', [
          aws({ data: undefined, dataFromWithOptions: [{ key: 'shop/db', versionStage: 'AWSPREVIOUS' }] }),
        ]),
        field('dataFromWithOptions[].versionId', '`version`', [
          aws({
            data: undefined,
            dataFromWithOptions: [{ key: 'shop/db', versionId: '7e6c4b4e-0000-4000-8000-000000000001' }],
          }),
        ]),
        {
          ...without('dataFromWithOptions[].isBinary', 'nothing: the controller does not use it', [
            aws({ data: undefined, dataFromWithOptions: [{ key: 'shop/db', isBinary: true }] }),
          ]),
          base: [aws({ data: undefined, dataFromWithOptions: [{ key: 'shop/db' }] })],
        },
        field('properties', 'the old name of `data`', [
          aws({ data: undefined, properties: [{ ...ITEM, name: 'old' }] }),
        ]),
      ],
    },
    {
      title: 'The Secret',
      base: [aws()],
      cases: [
        field('template.type', '`target.type`', [template({ type: 'shop.example/db' })]),
        field('type', '`target.type`, from its old place', [aws({ type: 'shop.example/db' })]),
        field('template.metadata.labels', '`target.labels`', [
          template({ metadata: { labels: { team: 'a' } } }),
        ]),
        field('template.metadata.annotations', '`target.annotations`', [
          template({ metadata: { annotations: { note: 'n' } } }),
        ]),
        field('template.immutable', '`target.immutable`', [template({ immutable: true })]),
        field('template.stringData', '`template`, for text and for `data.NAME`, members of JSON and base64', [
          template({ stringData: { url: 'pg://<%= data.password %>@db' } }),
        ]),
        field('template.data', '`template`', [
          template({ data: { url: '<%= Buffer.from(data.password).toString("base64") %>' } }),
        ]),
        lost('templates with other JavaScript', 'write the template by hand', [
          template({ stringData: { url: '<% if (data.password) { %>x<% } %>' } }),
        ]),
        without('controllerId', 'nothing: it chooses one of several controllers', [
          aws({ controllerId: 'a' }),
        ]),
      ],
    },
    {
      title: 'Fields of backends that are not read',
      isListed: true,
      base: [aws()],
      cases: ['projectId', 'keyByName', 'data[].secretType', 'data[].version'].map((name) =>
        without(name, 'nothing: only the objects of other backends have it', [
          name.startsWith('data')
            ? item({ [name.replace('data[].', '')]: '1' })
            : aws({ [name]: name === 'keyByName' ? true : 'p' }),
        ]),
      ),
    },
    {
      title: 'Variables of the controller',
      base: [vault(), controller()],
      cases: [
        field('VAULT_ADDR', '`address`. If the Deployment is not in the input: `--vault-address`', [
          vault(),
          controller({ VAULT_ADDR: 'https://other.internal:8200' }),
        ]),
        field('VAULT_NAMESPACE', '`namespace`', [vault(), controller({ VAULT_NAMESPACE: 'team' })]),
        field('DEFAULT_VAULT_MOUNT_POINT', '`auth.mountPath`', [
          vault(),
          controller({ DEFAULT_VAULT_MOUNT_POINT: 'k8s' }),
        ]),
        {
          ...changed('DEFAULT_VAULT_ROLE', '`auth.role`', [
            vault({ vaultRole: undefined }),
            controller({ DEFAULT_VAULT_ROLE: 'r' }),
          ]),
          base: [controller()],
        },
        field('POLLER_INTERVAL_MILLISECONDS', '`refresh`', [
          vault(),
          controller({ POLLER_INTERVAL_MILLISECONDS: '30000' }),
        ]),
        changed('DISABLE_POLLING', '`refresh: 3650d`. A changed mapping is still read at once', [
          vault(),
          controller({ DISABLE_POLLING: 'true' }),
        ]),
        {
          ...field('AWS_INTERMEDIATE_ROLE_ARN', 'the first role of `assumeRole`', [
            aws({ roleArn: ROLE }),
            controller({ AWS_INTERMEDIATE_ROLE_ARN: 'arn:aws:iam::123456789012:role/first' }),
          ]),
          base: [aws({ roleArn: ROLE }), controller()],
        },
        {
          ...field('AWS_REGION', '`region`', [
            aws({ region: undefined }),
            controller({ AWS_REGION: 'us-east-2' }),
          ]),
          base: [aws(), controller()],
        },
        {
          ...field('AZURE_KEY_VAULT_DNS_SUFFIX', 'the domain of `vaultUrl`', [
            azure(),
            controller({ AZURE_KEY_VAULT_DNS_SUFFIX: 'vault.azure.cn' }),
          ]),
          base: [azure(), controller()],
        },
        {
          ...changed(
            'AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET',
            '`auth` with `clientSecret`, from a copy of the Secret',
            [azure(), controller(AZURE)],
          ),
          base: [azure(), controller()],
        },
      ],
    },
  ],
};
