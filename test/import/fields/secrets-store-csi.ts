import { stringify } from 'yaml';
import { SECRETS_STORE_CSI } from '../../../src/import/secrets-store-csi/tool.ts';
import { changed, type FieldTable, field, lost, without } from './case.ts';

interface ClassParts {
  readonly parameters?: object;
  /** Fields of the first mounted object. */
  readonly object?: object;
  /** More mounted objects. */
  readonly more?: readonly object[];
  /** Fields of the entry in `secretObjects`. */
  readonly secret?: object;
  readonly spec?: object;
}

const SECRET = { secretName: 'db', type: 'Opaque', data: [{ objectName: 'pw', key: 'password' }] };

function classOf(provider: string, parameters: object, { secret, spec }: ClassParts): object {
  return {
    apiVersion: 'secrets-store.csi.x-k8s.io/v1',
    kind: 'SecretProviderClass',
    metadata: { name: 'web', namespace: 'shop' },
    spec: { provider, parameters, secretObjects: [{ ...SECRET, ...secret }], ...spec },
  };
}

/** A class of the Azure provider. Each object is YAML in a text, within YAML in a text. */
export function azure(parts: ClassParts = {}): object {
  const items = [{ objectName: 'db-password', objectAlias: 'pw', objectType: 'secret', ...parts.object }];
  const objects = stringify({ array: [...items, ...(parts.more ?? [])].map((item) => stringify(item)) });
  const parameters = {
    keyvaultName: 'contoso',
    tenantID: 't-1',
    clientID: 'c-1',
    objects,
    ...parts.parameters,
  };
  return classOf('azure', parameters, parts);
}

export function aws(parts: ClassParts = {}): object {
  const item = { objectName: 'shop/db', objectAlias: 'pw', objectType: 'secretsmanager', ...parts.object };
  const parameters = {
    region: 'eu-west-1',
    objects: stringify([item, ...(parts.more ?? [])]),
    ...parts.parameters,
  };
  return classOf('aws', parameters, parts);
}

export function vault(parts: ClassParts = {}): object {
  const item = {
    objectName: 'pw',
    secretPath: 'secret/data/shop/db',
    secretKey: 'password',
    ...parts.object,
  };
  const parameters = {
    vaultAddress: 'https://vault.internal:8200',
    roleName: 'shop',
    objects: stringify([item, ...(parts.more ?? [])]),
    ...parts.parameters,
  };
  return classOf('vault', parameters, parts);
}

function withMember(fields: object): object {
  return aws({
    object: { jmesPath: [{ path: 'a', objectAlias: 'q', ...fields }] },
    secret: { data: [{ objectName: 'q', key: 'password' }] },
  });
}

/** A workload that mounts the class. */
export function workload(csi: object = {}): object {
  const volume = {
    name: 'files',
    csi: {
      driver: 'secrets-store.csi.k8s.io',
      readOnly: true,
      volumeAttributes: { secretProviderClass: 'web' },
      ...csi,
    },
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'shop' },
    spec: { template: { spec: { serviceAccountName: 'web', volumes: [volume] } } },
  };
}

const parameters = (values: object) => ({ parameters: values });
const object = (values: object) => ({ object: values });

export const SECRETS_STORE_CSI_FIELDS: FieldTable = {
  tool: SECRETS_STORE_CSI,
  page: 'docs/how-to/move-from-secrets-store-csi.md',
  groups: [
    {
      title: 'SecretProviderClass',
      base: [azure()],
      cases: [
        {
          ...changed('provider: azure', 'a store with `kind: azure-key-vault`, with another identity', [
            azure(),
          ]),
          base: [],
        },
        {
          ...changed(
            'provider: aws',
            'a store with `kind: aws-secrets-manager` or `aws-parameter-store`, with another identity',
            [aws()],
          ),
          base: [],
        },
        {
          ...changed('provider: vault', 'a store with `kind: vault` for each mount, with another identity', [
            vault(),
          ]),
          base: [],
        },
        {
          ...changed('provider: openbao', 'the same as `provider: vault`', [
            vault({ spec: { provider: 'openbao' } }),
          ]),
          base: [],
        },
        lost('any other provider', 'secretbridge does not read its store', [
          azure({ spec: { provider: 'gcp' } }),
        ]),
        field('secretObjects[].secretName', 'one mapping for each entry, with this `target.secret`', [
          azure({ secret: { secretName: 'other' } }),
        ]),
        field('secretObjects[].type', '`target.type`', [azure({ secret: { type: 'shop.example/db' } })]),
        field('secretObjects[].labels', '`target.labels`', [azure({ secret: { labels: { team: 'a' } } })]),
        field('secretObjects[].annotations', '`target.annotations`', [
          azure({ secret: { annotations: { note: 'b' } } }),
        ]),
        field('secretObjects[].data[].objectName', 'the source of the key: the object with this file name', [
          azure({
            more: [{ objectName: 'user', objectType: 'secret' }],
            secret: { data: [...SECRET.data, { objectName: 'user', key: 'user' }] },
          }),
        ]),
        field('secretObjects[].data[].key', 'the key of `data`', [
          azure({ secret: { data: [{ objectName: 'pw', key: 'PASSWORD' }] } }),
        ]),
        field(
          'secretObjects[].type: kubernetes.io/tls, tls.crt',
          'a template with `pem_certificates`, because the driver keeps only the certificates',
          [azure({ secret: { type: 'kubernetes.io/tls', data: [{ objectName: 'pw', key: 'tls.crt' }] } })],
        ),
        changed(
          'secretObjects[].type: kubernetes.io/tls, tls.key',
          'a template with `pem_key`. The driver writes the key as PKCS#1 or SEC 1, secretbridge keeps its form',
          [azure({ secret: { type: 'kubernetes.io/tls', data: [{ objectName: 'pw', key: 'tls.key' }] } })],
        ),
        {
          ...changed(
            'no secretObjects',
            'a mapping for the mounted files, with `--mounted-files`. Otherwise the mapping is a comment at the end of the file',
            [azure({ spec: { secretObjects: [] } })],
          ),
          defaults: { mountedFiles: true },
        },
      ],
    },
    {
      title: 'Volumes of pods',
      base: [azure({ parameters: { clientID: '' } })],
      cases: [
        changed(
          'volumeAttributes.secretProviderClass',
          'the report names the workload and its volume, which you replace by a volume of the Secret',
          [azure({ parameters: { clientID: '' } }), workload()],
        ),
        changed('nodePublishSecretRef', '`auth` with `clientSecret`, from a copy of this Secret', [
          azure({ parameters: { clientID: '' } }),
          workload({ nodePublishSecretRef: { name: 'principal' } }),
        ]),
        {
          ...without('readOnly', 'nothing: a volume of a Secret is always read-only', [azure(), workload()]),
          base: [azure(), workload({ readOnly: false })],
        },
      ],
    },
    {
      title: 'Azure: parameters',
      base: [azure()],
      cases: [
        field('keyvaultName', '`vaultUrl`', [azure(parameters({ keyvaultName: 'fabrikam' }))]),
        field('cloudName', 'the domain of `vaultUrl`: public cloud, US Government, China', [
          azure(parameters({ cloudName: 'AzureUSGovernmentCloud' })),
        ]),
        field('cloudName: AzureGermanCloud', 'the domain of `vaultUrl`, and `authorityHost`', [
          azure(parameters({ cloudName: 'AzureGermanCloud' })),
        ]),
        lost('cloudName: AzureStackCloud', 'its addresses are in a file of the provider', [
          azure(parameters({ cloudName: 'AzureStackCloud' })),
        ]),
        lost('cloudEnvFileName', 'a file of the provider, which the import does not read', [
          azure(parameters({ cloudEnvFileName: '/etc/cloud.json' })),
        ]),
        field('tenantID', '`auth.tenantId`', [azure(parameters({ tenantID: 't-2' }))]),
        field('tenantId', '`auth.tenantId`', [azure(parameters({ tenantID: '', tenantId: 't-3' }))]),
        changed(
          'clientID',
          '`auth` with `workloadIdentity`. The application needs a credential for the service account of secretbridge',
          [azure(parameters({ clientID: 'c-2' }))],
        ),
        changed('useAzureTokenProxy', '`auth` with `workloadIdentity`, without the token proxy', [
          azure(parameters({ useAzureTokenProxy: 'true' })),
        ]),
        changed('usePodIdentity', 'the default login, with the identity of the pod of secretbridge', [
          azure(parameters({ usePodIdentity: 'true' })),
        ]),
        changed('useVMManagedIdentity', '`auth` with `managedIdentity`', [
          azure(parameters({ useVMManagedIdentity: 'true' })),
        ]),
        {
          ...field('userAssignedIdentityID', '`auth.clientId` of `managedIdentity`', [
            azure(parameters({ useVMManagedIdentity: 'true', userAssignedIdentityID: 'i-1' })),
          ]),
          base: [azure(parameters({ useVMManagedIdentity: 'true' }))],
        },
        field('objects', 'the sources of the keys', [
          azure({
            more: [{ objectName: 'pw2', objectType: 'secret' }],
            secret: { data: [{ objectName: 'pw2', key: 'p' }, ...SECRET.data] },
          }),
        ]),
      ],
    },
    {
      title: 'Azure: objects',
      base: [azure()],
      cases: [
        field('objectName', '`key`', [azure(object({ objectName: 'other' }))]),
        field('objectAlias', 'the name that `secretObjects` uses for the object', [
          azure({ object: { objectAlias: 'alias' }, secret: { data: [{ objectName: 'alias', key: 'a' }] } }),
        ]),
        field('objectType: secret', 'a source of a secret', [
          azure(object({ objectName: 'b', objectType: 'secret' })),
        ]),
        field('objectType: cert', '`object: certificate`, with `pem_leaf` in a template', [
          azure(object({ objectType: 'cert' })),
        ]),
        field('objectType: key', '`object: key`, with `jwk_public_pem` in a template', [
          azure(object({ objectType: 'key' })),
        ]),
        field('objectVersion', '`version`', [
          azure(object({ objectVersion: '0123456789abcdef0123456789abcdef' })),
        ]),
        changed(
          'objectVersionHistory, the newest version',
          'the source without `version`. Pods still mount the earlier ones',
          [
            azure({
              object: { objectVersionHistory: 2 },
              secret: { data: [{ objectName: 'pw/0', key: 'a' }] },
            }),
          ],
        ),
        lost(
          'objectVersionHistory, earlier versions',
          'they are counted from the newest one, which no source can do',
          [
            azure({
              object: { objectVersionHistory: 2 },
              secret: { data: [{ objectName: 'pw/1', key: 'a' }] },
            }),
          ],
        ),
        without('objectFormat: pfx', 'the value of the store, which is the same text', [
          azure(object({ objectFormat: 'pfx' })),
        ]),
        changed(
          'objectFormat: pem',
          'the value of the store. A certificate that the vault keeps as PKCS#12 needs `pkcs12_key` and `pkcs12_cert`',
          [azure(object({ objectFormat: 'pem' }))],
        ),
        without('objectEncoding: utf-8', 'the value of the store', [
          azure(object({ objectEncoding: 'utf-8' })),
        ]),
        field('objectEncoding: base64', '`decode: base64`', [azure(object({ objectEncoding: 'base64' }))]),
        field('objectEncoding: hex', '`decode: hex`', [azure(object({ objectEncoding: 'hex' }))]),
        without('filePermission', 'nothing: `defaultMode` of a volume sets it', [
          azure(object({ filePermission: '0600' })),
        ]),
      ],
    },
    {
      title: 'AWS: parameters',
      base: [aws()],
      cases: [
        field('region', '`region`', [aws(parameters({ region: 'us-east-1' }))]),
        changed('failoverRegion', 'not read. While the region fails, the Secret keeps its data', [
          aws(parameters({ failoverRegion: 'us-east-1' })),
        ]),
        field('pathTranslation', 'the names that `secretObjects` uses for objects', [
          aws({
            parameters: { pathTranslation: '-' },
            object: { objectAlias: undefined },
            secret: { data: [{ objectName: 'shop-db', key: 'a' }] },
          }),
        ]),
        changed('usePodIdentity', 'the identity of the pod of secretbridge', [
          aws(parameters({ usePodIdentity: 'true' })),
        ]),
        without('preferredAddressType', 'nothing: it belongs to the login of the provider', [
          aws(parameters({ preferredAddressType: 'ipv6' })),
        ]),
        field('objects', 'the sources of the keys', [
          aws({
            more: [{ objectName: 'b', objectType: 'secretsmanager' }],
            secret: { data: [{ objectName: 'b', key: 'b' }, ...SECRET.data] },
          }),
        ]),
        changed('the role of the service account', '`auth` with `webIdentity` and this role', [
          aws(),
          workload(),
          {
            apiVersion: 'v1',
            kind: 'ServiceAccount',
            metadata: {
              name: 'web',
              namespace: 'shop',
              annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::123456789012:role/shop' },
            },
          },
        ]),
      ],
    },
    {
      title: 'AWS: objects',
      base: [aws()],
      cases: [
        field('objectName', '`key`', [aws(object({ objectName: 'shop/other' }))]),
        field('objectName, an ARN', '`key`', [
          aws(
            object({
              objectName: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/db-AbCdEf',
              objectType: undefined,
            }),
          ),
        ]),
        field('objectType: secretsmanager', 'a source of `aws-secrets-manager`', [
          aws(object({ objectName: 'c', objectType: 'secretsmanager' })),
        ]),
        field('objectType: ssmparameter', 'a source of `aws-parameter-store`', [
          aws(object({ objectName: '/shop/db', objectType: 'ssmparameter' })),
        ]),
        field('objectAlias', 'the name that `secretObjects` uses for the object', [
          aws({ object: { objectAlias: 'alias' }, secret: { data: [{ objectName: 'alias', key: 'a' }] } }),
        ]),
        field('objectVersion', '`version`', [
          aws(object({ objectVersion: '7e6c4b4e-0000-4000-8000-000000000001' })),
        ]),
        field('objectVersionLabel', '`version`', [aws(object({ objectVersionLabel: 'AWSPREVIOUS' }))]),
        field('jmesPath[].path', '`property`, for names, dots and indexes', [
          aws({
            object: { jmesPath: [{ path: 'users[0]."pass-word"', objectAlias: 'p' }] },
            secret: { data: [{ objectName: 'p', key: 'password' }] },
          }),
        ]),
        field('jmesPath[].path, with a condition', 'a template with the filters `where` and `map`', [
          aws({
            object: { jmesPath: [{ path: "users[?name=='ann'].password | [0]", objectAlias: 'p' }] },
            secret: { data: [{ objectName: 'p', key: 'password' }] },
          }),
        ]),
        lost('jmesPath[].path, other expressions', 'functions have no equivalent', [
          aws({
            object: { jmesPath: [{ path: 'join(`-`, users[*].name)', objectAlias: 'p' }] },
            secret: { data: [{ objectName: 'p', key: 'password' }] },
          }),
        ]),
        field('jmesPath[].objectAlias', 'the name that `secretObjects` uses for the value', [
          aws({
            object: { jmesPath: [{ path: 'a', objectAlias: 'q' }] },
            secret: { data: [{ objectName: 'q', key: 'password' }] },
          }),
        ]),
        {
          ...without('jmesPath[].filePermission', 'nothing: `defaultMode` of a volume sets it', [
            withMember({ filePermission: '0600' }),
          ]),
          base: [withMember({})],
        },
        changed('failoverObject.objectName', 'not read, as the failover region', [
          aws(object({ failoverObject: { objectName: 'shop/copy' } })),
        ]),
        changed('failoverObject.objectVersion', 'not read, as the failover region', [
          aws(object({ failoverObject: { objectName: 'shop/copy', objectVersion: 'v' } })),
        ]),
        changed('failoverObject.objectVersionLabel', 'not read, as the failover region', [
          aws(object({ failoverObject: { objectName: 'shop/copy', objectVersionLabel: 'l' } })),
        ]),
        without('filePermission', 'nothing: `defaultMode` of a volume sets it', [
          aws(object({ filePermission: '0600' })),
        ]),
      ],
    },
    {
      title: 'Vault: parameters',
      base: [vault()],
      cases: [
        field('vaultAddress', '`address`. If it is missing: `--vault-address`', [
          vault(parameters({ vaultAddress: 'https://other.internal:8200' })),
        ]),
        changed('roleName', '`auth.role`. The role must accept the service account of secretbridge', [
          vault(parameters({ roleName: 'other' })),
        ]),
        field('vaultNamespace', '`namespace`', [vault(parameters({ vaultNamespace: 'team' }))]),
        field('vaultKubernetesMountPath', '`auth.mountPath`', [
          vault(parameters({ vaultKubernetesMountPath: 'k8s-eu' })),
        ]),
        field('vaultAuthMountPath', '`auth.mountPath`', [
          vault(parameters({ vaultAuthMountPath: 'auth/k8s' })),
        ]),
        changed('audience', '`auth.tokenFile`, a token that you project into the pod of secretbridge', [
          vault(parameters({ audience: 'vault' })),
        ]),
        changed('vaultCACertPath', '`tls.caFile`, a file that you mount into the pod of secretbridge', [
          vault(parameters({ vaultCACertPath: '/ca/ca.pem' })),
        ]),
        changed('vaultCADirectory', 'not read: put the authorities into one file, and set `tls.caFile`', [
          vault(parameters({ vaultCADirectory: '/ca' })),
        ]),
        field('vaultTLSServerName', '`tls.serverName`', [
          vault(parameters({ vaultTLSServerName: 'vault.example' })),
        ]),
        changed('vaultTLSClientCertPath', '`tls.certFile`', [
          vault(parameters({ vaultTLSClientCertPath: '/tls/crt', vaultTLSClientKeyPath: '/tls/key' })),
        ]),
        changed('vaultTLSClientKeyPath', '`tls.keyFile`', [
          vault(parameters({ vaultTLSClientCertPath: '/tls/crt', vaultTLSClientKeyPath: '/tls/key2' })),
        ]),
        changed('vaultSkipTLSVerify', 'secretbridge always verifies the certificate of the server', [
          vault(parameters({ vaultSkipTLSVerify: 'true' })),
        ]),
        field('objects', 'the sources of the keys', [
          vault({
            more: [{ objectName: 'u', secretPath: 'secret/data/shop/db', secretKey: 'user' }],
            secret: { data: [{ objectName: 'u', key: 'user' }, ...SECRET.data] },
          }),
        ]),
      ],
    },
    {
      title: 'Vault: objects',
      base: [vault()],
      cases: [
        field('objectName', 'the name that `secretObjects` uses for the object', [
          vault({ object: { objectName: 'o' }, secret: { data: [{ objectName: 'o', key: 'a' }] } }),
        ]),
        field('secretPath, with data/', '`key`, and a store for the mount', [
          vault(object({ secretPath: 'kv/data/shop/other' })),
        ]),
        changed('secretPath, without data/', '`key`, and a store with `kvVersion: 1`. Check the mount', [
          vault(object({ secretPath: 'kv1/shop/other' })),
        ]),
        field('secretPath, with a version', '`version`', [
          vault(object({ secretPath: 'secret/data/shop/db?version=3' })),
        ]),
        lost('secretPath of another engine', 'Vault creates the value for each request', [
          vault(object({ secretPath: 'database/creds/app' })),
        ]),
        field('secretKey', '`property`', [vault(object({ secretKey: 'user' }))]),
        lost('no secretKey', 'the file would be the whole answer of Vault, which has other bytes each time', [
          vault(object({ secretKey: undefined })),
        ]),
        without('method: GET', 'the usual request', [vault(object({ method: 'GET' }))]),
        lost('method: PUT', 'Vault creates the value for each request', [vault(object({ method: 'PUT' }))]),
        lost('secretArgs', 'Vault creates the value for each request', [
          vault(object({ secretArgs: { common_name: 'a' } })),
        ]),
        without('encoding: utf-8', 'the value of the store', [vault(object({ encoding: 'utf-8' }))]),
        field('encoding: base64', '`decode: base64`', [vault(object({ encoding: 'base64' }))]),
        field('encoding: hex', '`decode: hex`', [vault(object({ encoding: 'hex' }))]),
        without('filePermission', 'nothing: `defaultMode` of a volume sets it', [
          vault(object({ filePermission: 384 })),
        ]),
      ],
    },
  ],
};
