import { VAULT_SECRETS_OPERATOR } from '../../../src/import/vault-secrets-operator/tool.ts';
import { changed, type FieldTable, field, lost, without } from './case.ts';

const API = 'secrets.hashicorp.com/v1beta1';

function make(kind: string, name: string, spec: object, metadata: object = {}): object {
  return { apiVersion: API, kind, metadata: { name, namespace: 'shop', ...metadata }, spec };
}

export function connection(spec: object = {}): object {
  return make('VaultConnection', 'vault', { address: 'https://vault.internal:8200', ...spec });
}

export function auth(spec: object = {}): object {
  return make('VaultAuth', 'login', {
    vaultConnectionRef: 'vault',
    method: 'appRole',
    mount: 'approle',
    appRole: { roleId: 'r-1', secretRef: 'login' },
    ...spec,
  });
}

interface SecretParts {
  readonly destination?: object;
  readonly transformation?: object;
  readonly [field: string]: unknown;
}

export function staticSecret({ destination, transformation, ...spec }: SecretParts = {}): object {
  return make(
    'VaultStaticSecret',
    'db',
    {
      vaultAuthRef: 'login',
      mount: 'kv',
      type: 'kv-v2',
      path: 'shop/db',
      refreshAfter: '1m',
      destination: {
        name: 'db',
        create: true,
        transformation: { excludeRaw: true, ...transformation },
        ...destination,
      },
      ...spec,
    },
    { labels: { team: 'a' }, annotations: { host: 'db.internal' } },
  );
}

const all = (...changes: readonly object[]) => changes;
const login = (spec: object) => all(connection(), auth(spec), staticSecret());
const server = (spec: object) => all(connection(spec), auth(), staticSecret());
const secret = (spec: SecretParts) => all(connection(), auth(), staticSecret(spec));
const kubernetes = (spec: object = {}) =>
  login({
    method: 'kubernetes',
    mount: 'kubernetes',
    appRole: undefined,
    kubernetes: { role: 'shop', serviceAccount: 'web', ...spec },
  });
const jwt = (spec: object) =>
  login({ method: 'jwt', mount: 'jwt', appRole: undefined, jwt: { role: 'shop', ...spec } });
const transform = (transformation: object) => secret({ transformation });
const global = (spec: object, own: object = {}) =>
  all(
    connection(),
    make('VaultAuth', 'login', { vaultAuthGlobalRef: { name: 'shared' }, ...own }),
    make('VaultAuthGlobal', 'shared', {
      vaultConnectionRef: 'vault',
      defaultAuthMethod: 'appRole',
      defaultMount: 'approle',
      appRole: { roleId: 'r-1', secretRef: 'login' },
      ...spec,
    }),
    staticSecret(),
  );
/** A VaultAuthGlobal with another method. */
const globalOf = (method: string, fields: object) =>
  global({ defaultAuthMethod: method, defaultMount: undefined, [method]: { role: 'shop', ...fields } });
/** The fields of a method that logs in with a token of a service account, or with one from a Secret. */
function ofAccount(method: 'kubernetes' | 'jwt', login: object) {
  const of = (fields: object) => globalOf(method, { ...login, ...fields });
  const account = (fields: object) => globalOf(method, fields);
  return [
    { ...field(`${method}.mount`, '`auth.mountPath`', of({ mount: 'k-eu' })), base: of({}) },
    { ...field(`${method}.namespace`, '`auth.namespace`', of({ namespace: 'team' })), base: of({}) },
    { ...changed(`${method}.params`, 'not sent with the login', of({ params: { a: 'b' } })), base: of({}) },
    { ...changed(`${method}.headers`, 'not sent', of({ headers: { a: 'b' } })), base: of({}) },
    changed(`${method}.role`, '`auth.role`', account({ role: 's' })),
    changed(
      `${method}.serviceAccount`,
      'the service account of secretbridge',
      account({ serviceAccount: 's' }),
    ),
    changed(`${method}.audiences`, 'the audience of its token', account({ audiences: ['vault'] })),
    changed(
      `${method}.tokenExpirationSeconds`,
      'nothing: Kubernetes renews the token',
      account({ tokenExpirationSeconds: 600 }),
    ),
  ];
}
/** The fields of the secret are left out, because a template could set the key of a field. */
const ONLY = { excludes: ['.*'] };
const shared = (spec: object, ref: object = {}, own: object = ONLY) =>
  all(
    connection(),
    auth(),
    staticSecret({
      transformation: { transformationRefs: [{ name: 'urls', ...ref }], ...own },
    }),
    make('SecretTransformation', 'urls', spec),
  );
const TEMPLATE = { templates: { url: { text: 'pg://{{ .Secrets.user }}@db' } } };

export const VAULT_SECRETS_OPERATOR_FIELDS: FieldTable = {
  tool: VAULT_SECRETS_OPERATOR,
  page: 'docs/how-to/move-from-vault-secrets-operator.md',
  groups: [
    {
      title: 'VaultStaticSecret',
      base: secret({}),
      cases: [
        field(
          'vaultAuthRef',
          'the store of the source. `namespace/name` works too',
          secret({ vaultAuthRef: 'shop/login', path: 'x' }),
        ),
        field('namespace', '`namespace` of the store', secret({ namespace: 'team' })),
        field('mount', '`mount` of the store', secret({ mount: 'kv/eu' })),
        field('path', '`key`', secret({ path: 'shop/other' })),
        field('type', '`kvVersion` of the store', secret({ type: 'kv-v1' })),
        field('version', '`version`', secret({ version: 3 })),
        field('refreshAfter', '`refresh`', secret({ refreshAfter: '30s' })),
        changed(
          'no refreshAfter',
          'secretbridge reads every 5 minutes. The operator reads once',
          secret({ refreshAfter: undefined }),
        ),
        without(
          'hmacSecretData: true',
          'secretbridge always compares fingerprints',
          secret({ hmacSecretData: true }),
        ),
        changed(
          'hmacSecretData: false',
          '`onDrift: report`, without `restart`',
          secret({ hmacSecretData: false }),
        ),
        field(
          'rolloutRestartTargets[].kind',
          '`restart` with this `kind`',
          secret({ rolloutRestartTargets: [{ kind: 'Deployment', name: 'web' }] }),
        ),
        field(
          'rolloutRestartTargets[].kind: argo.Rollout',
          '`restart` with `kind: Rollout`',
          secret({ rolloutRestartTargets: [{ kind: 'argo.Rollout', name: 'web' }] }),
        ),
        field(
          'rolloutRestartTargets[].name',
          '`restart` with this `name`',
          secret({ rolloutRestartTargets: [{ kind: 'StatefulSet', name: 'db' }] }),
        ),
        changed(
          'syncConfig.instantUpdates',
          'events are a setting of the installation',
          secret({ syncConfig: { instantUpdates: true } }),
        ),
        field('destination.name', '`target.secret`', secret({ destination: { name: 'other' } })),
        without(
          'destination.create: true',
          '`onConflict: adoptAndDropOwner`, which every mapping has',
          secret({ destination: { create: true } }),
        ),
        changed(
          'destination.create: false',
          '`mode: merge`. The operator replaces all keys of the Secret',
          secret({ destination: { create: false } }),
        ),
        without(
          'destination.overwrite',
          'nothing: an adoption replaces an existing Secret',
          secret({ destination: { overwrite: true } }),
        ),
        field('destination.labels', '`target.labels`', secret({ destination: { labels: { app: 'db' } } })),
        field(
          'destination.annotations',
          '`target.annotations`',
          secret({ destination: { annotations: { note: 'n' } } }),
        ),
        field('destination.type', '`target.type`', secret({ destination: { type: 'shop.example/db' } })),
      ],
    },
    {
      title: 'destination.transformation',
      base: transform({}),
      cases: [
        field('templates', '`template`', transform({ ...TEMPLATE, ...ONLY })),
        changed(
          'templates beside the fields',
          '`template`. A key of both is an error, in the operator the template wins',
          transform(TEMPLATE),
        ),
        field(
          'templates.*.name',
          'nothing: other templates use it',
          transform({ ...ONLY, templates: { url: { name: 'u', text: 'a{{ .Secrets.user }}' } } }),
        ),
        field(
          'templates.*.text',
          'a Liquid template',
          transform({ ...ONLY, templates: { url: { text: '{{ get .Secrets "user" | upper }}' } } }),
        ),
        field(
          'text with .Labels and .Annotations',
          'the label or annotation of the object, as text',
          transform({
            ...ONLY,
            templates: { host: { text: '{{ .Secrets.user }}@{{ index .Annotations "host" }}' } },
          }),
        ),
        lost(
          'text with .Metadata',
          'the metadata of a secret is no value',
          transform({ templates: { v: { text: '{{ .Metadata.version }}' } } }),
        ),
        field('includes', 'one source for each name', transform({ includes: ['^(user|password)$'] })),
        changed(
          'includes, without ^ and $',
          'one source for each name. The operator also takes longer names',
          transform({ includes: ['user'] }),
        ),
        lost(
          'includes, other patterns',
          'the fields of a secret are unknown during the import',
          transform({ includes: ['^db_.*'] }),
        ),
        field(
          'excludes: ".*"',
          '`template` with `only: true`',
          transform({ templates: { b: { text: 'b{{ .Secrets.user }}' } }, excludes: ['.*'] }),
        ),
        changed(
          'includes, and templates with other fields',
          'a template for each key, because `only: true` leaves out the other fields',
          transform({ ...TEMPLATE, includes: ['^password$'] }),
        ),
        field(
          'excludes, with includes',
          'the names that both lists leave',
          transform({ includes: ['^(user|password)$'], excludes: ['pass'] }),
        ),
        lost(
          'excludes alone',
          'the fields of a secret are unknown during the import',
          transform({ excludes: ['^x$'] }),
        ),
        without('excludeRaw: true', 'no key `_raw`', transform({ excludeRaw: true })),
        changed(
          'no excludeRaw',
          'the mapping removes the key `_raw`. Version 1 of the engine keeps it',
          transform({ excludeRaw: false }),
        ),
        field(
          'transformationRefs[].name',
          'the templates and filters of the SecretTransformation',
          shared(TEMPLATE),
        ),
        field('transformationRefs[].namespace', 'the same', shared(TEMPLATE, { namespace: 'shop' })),
        field(
          'transformationRefs[].templateRefs[].name',
          'only these templates',
          shared(
            { templates: { ...TEMPLATE.templates, b: { text: 'b' } } },
            { templateRefs: [{ name: 'url' }] },
          ),
        ),
        field(
          'transformationRefs[].templateRefs[].keyOverride',
          'the key of the template',
          shared(TEMPLATE, { templateRefs: [{ name: 'url', keyOverride: 'DB_URL' }] }),
        ),
        field(
          'transformationRefs[].ignoreIncludes',
          '`includes` of the reference do not count',
          shared({ ...TEMPLATE, includes: ['^db_.*'] }, { ignoreIncludes: true }),
        ),
        field(
          'transformationRefs[].ignoreExcludes',
          '`excludes` of the reference do not count',
          shared({ ...TEMPLATE, excludes: ['^x$'] }, { ignoreExcludes: true }),
        ),
      ],
    },
    {
      title: 'SecretTransformation',
      base: secret({}),
      cases: [
        field('templates', '`template` of each mapping that refers to it', shared(TEMPLATE)),
        lost(
          'sourceTemplates',
          'parts that other templates include',
          shared({ ...TEMPLATE, sourceTemplates: [{ name: 'p', text: 'x' }] }),
        ),
        field('includes', 'one source for each name', shared({ includes: ['^user$'] }, {}, {})),
        field('excludes', '`template` with `only: true`', shared({ ...TEMPLATE, ...ONLY }, {}, {})),
      ],
    },
    {
      title: 'VaultAuth',
      base: login({}),
      cases: [
        field(
          'vaultConnectionRef',
          'the address of the store',
          login({ vaultConnectionRef: 'shop/vault', mount: 'x' }),
        ),
        field(
          'namespace',
          '`auth.namespace`, if it differs from that of the secret',
          login({ namespace: 'team' }),
        ),
        field('allowedNamespaces', '`access`', login({ allowedNamespaces: ['web'] })),
        field('method', '`auth.method`', login({ method: 'appRole', mount: 'a' })),
        field('mount', '`auth.mountPath`', login({ mount: 'approle-eu' })),
        changed('params', 'not sent with the login', login({ params: { a: 'b' } })),
        changed('headers', 'not sent', login({ headers: { a: 'b' } })),
        changed('kubernetes.role', '`auth.role`', kubernetes({ role: 'r' })),
        changed(
          'kubernetes.serviceAccount',
          'the service account of secretbridge',
          kubernetes({ serviceAccount: 's' }),
        ),
        changed(
          'kubernetes.audiences',
          'the token that Kubernetes mounts',
          kubernetes({ audiences: ['vault'] }),
        ),
        changed(
          'kubernetes.tokenExpirationSeconds',
          'nothing: Kubernetes renews the token',
          kubernetes({ tokenExpirationSeconds: 600 }),
        ),
        changed('jwt.role', '`auth.role`', jwt({ secretRef: 'token', role: 'r' })),
        changed('jwt.secretRef', '`auth.jwt`, from a copy of this Secret', jwt({ secretRef: 'token' })),
        changed(
          'jwt.serviceAccount',
          '`auth.jwt`, a token that you project into the pod of secretbridge',
          jwt({ serviceAccount: 'web' }),
        ),
        changed(
          'jwt.audiences',
          'the audience of this token',
          jwt({ serviceAccount: 'web', audiences: ['v'] }),
        ),
        changed(
          'jwt.tokenExpirationSeconds',
          'nothing: Kubernetes renews the token',
          jwt({ serviceAccount: 'web', tokenExpirationSeconds: 600 }),
        ),
        field('appRole.roleId', '`auth.roleId`', login({ appRole: { roleId: 'r-2', secretRef: 'login' } })),
        changed(
          'appRole.secretRef',
          '`auth.secretId`, from a copy of this Secret',
          login({ appRole: { roleId: 'r-1', secretRef: 'other' } }),
        ),
        changed(
          'appRole.secretIDPath',
          '`auth.secretId`, a file that you mount into the pod of secretbridge',
          login({ appRole: { roleId: 'r-1', secretIDPath: '/run/id' } }),
        ),
        lost(
          'aws',
          'secretbridge has no such login, so none of its fields',
          login({ method: 'aws', appRole: undefined, aws: { role: 'r' } }),
        ),
        lost(
          'gcp',
          'secretbridge has no such login, so none of its fields',
          login({ method: 'gcp', appRole: undefined, gcp: { role: 'r' } }),
        ),
        without(
          'storageEncryption',
          'nothing: secretbridge logs in again after a restart',
          login({ storageEncryption: { mount: 't', keyName: 'k' } }),
        ),
        field(
          'vaultAuthGlobalRef.name',
          'the fields of the VaultAuthGlobal that this object lacks',
          global({ defaultMount: 'b' }),
        ),
        field(
          'vaultAuthGlobalRef.namespace',
          'the same',
          global({ defaultMount: 'b' }, { vaultAuthGlobalRef: { name: 'shared', namespace: 'shop' } }),
        ),
        changed(
          'vaultAuthGlobalRef.mergeStrategy',
          'headers and params are not sent',
          global(
            {},
            {
              vaultAuthGlobalRef: { name: 'shared', mergeStrategy: { headers: 'union', params: 'replace' } },
            },
          ),
        ),
        {
          ...without(
            'vaultAuthGlobalRef.allowDefault',
            'nothing: the import has all objects',
            global({}, { vaultAuthGlobalRef: { name: 'shared', allowDefault: true } }),
          ),
          base: global({}),
        },
      ],
    },
    {
      title: 'VaultAuthGlobal',
      base: global({}),
      cases: [
        without(
          'allowedNamespaces',
          'nothing: `access` follows the VaultAuth',
          global({ allowedNamespaces: ['*'] }),
        ),
        field(
          'vaultConnectionRef',
          'the address of the store',
          global({ vaultConnectionRef: 'shop/vault', defaultMount: 'y' }),
        ),
        field('defaultVaultNamespace', '`auth.namespace`', global({ defaultVaultNamespace: 'team' })),
        field(
          'defaultAuthMethod',
          '`auth.method`',
          global({ defaultAuthMethod: 'appRole', defaultMount: 'z' }),
        ),
        field('defaultMount', '`auth.mountPath`', global({ defaultMount: 'approle-us' })),
        changed('params', 'not sent with the login', global({ params: { a: 'b' } })),
        changed('headers', 'not sent', global({ headers: { a: 'b' } })),
        field('appRole.roleId', '`auth.roleId`', global({ appRole: { roleId: 'r-3', secretRef: 'login' } })),
        changed(
          'appRole.secretRef',
          '`auth.secretId`, from a copy of this Secret',
          global({ appRole: { roleId: 'r-1', secretRef: 'other' } }),
        ),
        changed(
          'appRole.secretIDPath',
          '`auth.secretId`, a file that you mount into the pod of secretbridge',
          global({ appRole: { roleId: 'r-1', secretIDPath: '/run/id' } }),
        ),
        changed(
          'appRole.params',
          'not sent with the login',
          global({ appRole: { roleId: 'r-1', secretRef: 'login', params: { a: 'b' } } }),
        ),
        changed(
          'appRole.headers',
          'not sent',
          global({ appRole: { roleId: 'r-1', secretRef: 'login', headers: { a: 'b' } } }),
        ),
        field(
          'appRole.mount',
          '`auth.mountPath`',
          global({ appRole: { roleId: 'r-1', secretRef: 'login', mount: 'm' } }),
        ),
        field(
          'appRole.namespace',
          '`auth.namespace`',
          global({ appRole: { roleId: 'r-1', secretRef: 'login', namespace: 'n' } }),
        ),
        ...ofAccount('kubernetes', {}),
        ...ofAccount('jwt', { secretRef: 'token' }),
        {
          ...changed(
            'jwt.secretRef',
            '`auth.jwt`, from a copy of this Secret',
            globalOf('jwt', { secretRef: 'token' }),
          ),
          base: globalOf('jwt', { serviceAccount: 'web' }),
        },
        lost('aws', 'secretbridge has no such login, so none of its fields', globalOf('aws', {})),
        lost('gcp', 'secretbridge has no such login, so none of its fields', globalOf('gcp', {})),
      ],
    },
    {
      title: 'VaultConnection',
      base: server({}),
      cases: [
        field('address', '`address`', server({ address: 'https://other.internal:8200' })),
        changed('headers', 'not sent', server({ headers: { a: 'b' } })),
        field('tlsServerName', '`tls.serverName`', server({ tlsServerName: 'vault.example' })),
        changed(
          'caCertSecretRef',
          '`tls.caFile`, a file that you mount into the pod of secretbridge',
          server({ caCertSecretRef: 'ca' }),
        ),
        changed('caCertPath', '`tls.caFile`', server({ caCertPath: '/ca.pem' })),
        changed(
          'skipTLSVerify',
          'secretbridge always verifies the certificate of the server',
          server({ skipTLSVerify: true }),
        ),
        without('timeout', 'nothing: secretbridge has its own time limits', server({ timeout: '30s' })),
      ],
    },
    {
      title: 'Other kinds',
      isListed: true,
      base: secret({}),
      cases: [
        lost('VaultDynamicSecret', 'Vault creates its credentials and revokes them', [
          ...secret({}),
          make('VaultDynamicSecret', 'creds', {
            mount: 'database',
            path: 'creds/app',
            destination: { name: 'creds', create: true },
          }),
        ]),
        lost('VaultPKISecret', 'Vault creates its certificates', [
          ...secret({}),
          make('VaultPKISecret', 'cert', {
            mount: 'pki',
            role: 'web',
            destination: { name: 'cert', create: true },
          }),
        ]),
        lost('HCPAuth', 'secretbridge does not read HCP Vault Secrets', [
          ...secret({}),
          make('HCPAuth', 'hcp', {}),
        ]),
        lost('HCPVaultSecretsApp', 'secretbridge does not read HCP Vault Secrets', [
          ...secret({}),
          make('HCPVaultSecretsApp', 'app', {}),
        ]),
        lost('CSISecrets', 'pods mount files without a Secret', [
          ...secret({}),
          make('CSISecrets', 'files', {}),
        ]),
      ],
    },
  ],
};
