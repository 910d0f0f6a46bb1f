import { EXTERNAL_SECRETS } from '../../../src/import/external-secrets/tool.ts';
import { AZURE, external, store } from '../harness.ts';
import { changed, type FieldTable, field, lost, without } from './case.ts';

const ROLE = 'arn:aws:iam::123456789012:role/shop';
const LOGIN = { name: 'login', key: 'k', namespace: 'secretbridge' };

/** Stores with a credential in the namespace of secretbridge, so that nothing has to be copied. */
function vault(fields: object = {}, more: object = {}): object {
  const auth = { appRole: { path: 'approle', roleId: 'r', secretRef: LOGIN } };
  const settings = { server: 'https://vault.internal:8200', path: 'secret', auth, ...fields };
  return store('vault', { vault: settings }, more);
}

function aws(fields: object = {}): object {
  const auth = { secretRef: { accessKeyIDSecretRef: LOGIN, secretAccessKeySecretRef: LOGIN } };
  return store('vault', { aws: { service: 'SecretsManager', region: 'eu-west-1', auth, ...fields } });
}

function azure(fields: object = {}): object {
  const authSecretRef = { clientId: LOGIN, clientSecret: LOGIN };
  const settings = { vaultUrl: 'https://contoso.vault.azure.net', tenantId: 't', authSecretRef, ...fields };
  return store('vault', { azurekv: settings });
}

const ITEM = { secretKey: 'K', remoteRef: { key: 'a', property: 'p' } };
const spec = (fields: object) => [vault(), external({ data: [ITEM], refreshInterval: '1h', ...fields })];
const target = (fields: object) => spec({ target: fields });
const template = (fields: object) => target({ template: { data: { U: 'x{{ .K }}' }, ...fields } });
const ref = (fields: object) => spec({ data: [{ ...ITEM, remoteRef: { ...ITEM.remoteRef, ...fields } }] });
const from = (...dataFrom: readonly object[]) => spec({ data: undefined, dataFrom });
const extract = (fields: object, more: object = {}) => from({ extract: { key: 'a', ...fields }, ...more });
const find = (fields: object, more: object = {}) =>
  from({ find: { name: { regexp: '^x' }, ...fields }, ...more });
const uses = external({ data: [ITEM], refreshInterval: '1h' });
const login = (auth: object) => [vault({ auth }), uses];
const inAws = (fields: object) => [aws(fields), uses];
const inAzure = (fields: object) => [azure(fields), uses];
const APP_ROLE = { path: 'approle', roleId: 'r', secretRef: LOGIN };
const inBao = (fields: object) => {
  const settings = {
    server: 'https://bao.internal:8200',
    path: 'secret',
    auth: { appRole: APP_ROLE },
    ...fields,
  };
  return [store('vault', { openBao: settings }), uses];
};
const inCloud = (fields: object, addresses: object = {}) => {
  const activeDirectoryEndpoint = 'https://login.local.azurestack.external';
  return inAzure({ customCloudConfig: { activeDirectoryEndpoint, ...addresses }, ...fields });
};
const windows = (kind: string, window: object = {}) =>
  spec({ syncWindows: { kind, windows: [{ schedule: '0 22 * * 1-5', duration: '4h', ...window }] } });
const literal = (from: object) => template({ templateFrom: [from] });
const configMap = (item: object) => [
  ...literal({ configMap: { name: 'texts', items: [item] } }),
  {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'texts', namespace: 'apps' },
    data: { url: 'pg://{{ .K }}@db', other: 'o{{ .K }}', pairs: 'a: "{{ .K }}"\nb: c\n' },
  },
];
/** A login with a user name and a password. */
function withPassword(method: string, name: string) {
  const of = (fields: object) =>
    login({ [method]: { path: name, username: 'u', secretRef: LOGIN, ...fields } });
  return [
    field(`auth.${method}.path`, '`auth.mountPath`', of({ path: 'other' })),
    field(`auth.${method}.username`, `\`auth\` with \`${name}\``, of({})),
    field(`auth.${method}.secretRef`, '`auth.password`', of({ secretRef: { ...LOGIN, key: 'p' } })),
  ].map((one, index) => (index === 1 ? one : { ...one, base: of({}) }));
}
const INNER = {
  secretStoreRef: { name: 'vault', kind: 'ClusterSecretStore' },
  refreshInterval: '1h',
  data: [ITEM],
};
function everywhere(fields: object): readonly object[] {
  const all = { externalSecretSpec: INNER, namespaces: ['apps'], ...fields };
  return [
    vault(),
    {
      apiVersion: 'external-secrets.io/v1',
      kind: 'ClusterExternalSecret',
      metadata: { name: 'all' },
      spec: all,
    },
  ];
}

export const EXTERNAL_SECRETS_FIELDS: FieldTable = {
  tool: EXTERNAL_SECRETS,
  page: 'docs/how-to/move-from-external-secrets.md',
  groups: [
    {
      title: 'Fields of an ExternalSecret',
      base: spec({}),
      cases: [
        field(
          'secretStoreRef.name',
          'the store of each source',
          spec({ data: [{ ...ITEM, secretKey: 'L' }] }),
        ),
        {
          ...field('secretStoreRef.kind', 'a store for all namespaces, or for one', [vault(), uses]),
          base: [vault()],
        },
        field('refreshInterval', '`refresh`', spec({ refreshInterval: '10m' })),
        changed(
          'refreshPolicy',
          '`refresh: 3650d`, if the policy reads only once or after a change',
          spec({ refreshPolicy: 'CreatedOnce' }),
        ),
        changed(
          'syncWindows.kind: allow',
          '`windows`, in which the changes of the mapping wait. The store is still read at any time',
          windows('allow'),
        ),
        {
          ...field(
            'syncWindows.windows[].schedule',
            '`allow` of the window',
            windows('allow', { schedule: '@daily' }),
          ),
          base: windows('allow'),
        },
        {
          ...field(
            'syncWindows.windows[].duration',
            '`for` of the window',
            windows('allow', { duration: '2h' }),
          ),
          base: windows('allow'),
        },
        changed(
          'syncWindows.kind: deny',
          'not converted, because `windows` name the times in which changes are allowed',
          windows('deny'),
        ),
        field('target.name', '`target.secret`', target({ name: 'other' })),
        without(
          'target.creationPolicy: Owner',
          '`onConflict: adoptAndDropOwner`, which is the default',
          target({ creationPolicy: 'Owner' }),
        ),
        field('target.creationPolicy: Orphan', '`onConflict: adopt`', target({ creationPolicy: 'Orphan' })),
        field('target.creationPolicy: Merge', '`mode: merge`', target({ creationPolicy: 'Merge' })),
        changed(
          'target.creationPolicy: CreateOrMerge',
          '`mode: merge`',
          target({ creationPolicy: 'CreateOrMerge' }),
        ),
        lost('target.creationPolicy: None', 'there is no Secret', target({ creationPolicy: 'None' })),
        without(
          'target.deletionPolicy: Retain',
          '`onSourceMissing: keep`, which is the default',
          target({ deletionPolicy: 'Retain' }),
        ),
        changed(
          'target.deletionPolicy: Merge',
          '`onSourceMissing: removeKeys`, after a proved absence',
          target({ deletionPolicy: 'Merge' }),
        ),
        changed(
          'target.deletionPolicy: Delete',
          '`onSourceMissing: delete`, after a proved absence',
          target({ deletionPolicy: 'Delete' }),
        ),
        field('target.immutable', '`target.immutable`', target({ immutable: true })),
        lost(
          'target.manifest',
          'only Secrets are written',
          target({ manifest: { apiVersion: 'v1', kind: 'ConfigMap' } }),
        ),
        field('data[].secretKey', 'the key of `data`', spec({ data: [{ ...ITEM, secretKey: 'KEY' }] })),
        field('data[].remoteRef.key', '`key`', ref({ key: 'b' })),
        field(
          'data[].remoteRef.property',
          '`property`, for names, dots and indexes',
          ref({ property: 'a.0.b' }),
        ),
        changed(
          'data[].remoteRef.property, with a query for one member',
          'a template with the filters `where` and `map`',
          ref({ property: 'a.#(b=="c").d' }),
        ),
        lost(
          'data[].remoteRef.property, with modifiers or other queries',
          'use a template with `from_json`',
          ref({ property: 'a.#(b%"c*").d' }),
        ),
        field('data[].remoteRef.version', '`version`', ref({ version: '3' })),
        field(
          'data[].remoteRef.decodingStrategy: Base64, Base64URL',
          '`decode`',
          ref({ decodingStrategy: 'Base64' }),
        ),
        changed(
          'data[].remoteRef.decodingStrategy: Auto',
          'the value is not decoded',
          ref({ decodingStrategy: 'Auto' }),
        ),
        without(
          'data[].remoteRef.conversionStrategy',
          'nothing: the name of the key is `secretKey`',
          ref({ conversionStrategy: 'Unicode' }),
        ),
        without('data[].remoteRef.metadataPolicy: None', 'the value itself', ref({ metadataPolicy: 'None' })),
        lost(
          'data[].remoteRef.metadataPolicy: Fetch',
          'tags and metadata are no values',
          ref({ metadataPolicy: 'Fetch' }),
        ),
        changed('data[].remoteRef.nullBytePolicy', 'zero bytes are allowed', ref({ nullBytePolicy: 'Fail' })),
        {
          ...field('data[].sourceRef.storeRef', 'the store of this source', [
            vault(),
            AZURE,
            external({
              refreshInterval: '1h',
              data: [
                {
                  secretKey: 'K',
                  remoteRef: { key: 'a' },
                  sourceRef: { storeRef: { name: 'azure', kind: 'ClusterSecretStore' } },
                },
              ],
            }),
          ]),
          base: [vault(), AZURE],
        },
        lost(
          'data[].sourceRef.generatorRef',
          'secretbridge creates no values',
          spec({ data: [{ ...ITEM, sourceRef: { generatorRef: { name: 'g' } } }] }),
        ),
        {
          ...field('dataFrom[].sourceRef.storeRef', 'the store of this source', [
            vault(),
            AZURE,
            external({
              refreshInterval: '1h',
              dataFrom: [
                {
                  extract: { key: 'a' },
                  sourceRef: { storeRef: { name: 'azure', kind: 'ClusterSecretStore' } },
                },
              ],
            }),
          ]),
          base: [vault(), AZURE],
        },
        {
          ...lost(
            'dataFrom[].sourceRef.generatorRef',
            'secretbridge creates no values',
            from({ sourceRef: { generatorRef: { name: 'g' } } }),
          ),
          base: extract({}),
        },
        {
          ...field('dataFrom[].extract.key', '`dataFrom` with `key`', extract({ key: 'b' })),
          base: extract({}),
        },
        {
          ...changed(
            'dataFrom[].extract.property',
            '`property`, which must be an object',
            extract({ property: 'p' }),
          ),
          base: extract({}),
        },
        { ...field('dataFrom[].extract.version', '`version`', extract({ version: '2' })), base: extract({}) },
        {
          ...field(
            'dataFrom[].extract.decodingStrategy',
            '`decode`',
            extract({ decodingStrategy: 'Base64' }),
          ),
          base: extract({}),
        },
        {
          ...without(
            'dataFrom[].extract.metadataPolicy: None',
            'the members of the value',
            extract({ metadataPolicy: 'None' }),
          ),
          base: extract({}),
        },
        {
          ...lost(
            'dataFrom[].extract.metadataPolicy: Fetch',
            'tags and metadata are no values',
            extract({ metadataPolicy: 'Fetch' }),
          ),
          base: extract({}),
        },
        {
          ...changed(
            'dataFrom[].extract.nullBytePolicy',
            'zero bytes are allowed',
            extract({ nullBytePolicy: 'Fail' }),
          ),
          base: extract({}),
        },
        {
          ...changed(
            'dataFrom[].extract.conversionStrategy',
            '`rename` with `invalid: replace`. Unicode becomes an error',
            extract({ conversionStrategy: 'Unicode' }),
          ),
          base: extract({}),
        },
        {
          ...field('dataFrom[].find.path', '`find.path`', find({ path: 'apps', name: undefined })),
          base: find({ path: 'web', name: undefined }),
        },
        {
          ...field('dataFrom[].find.name.regexp', '`find.name`', find({ name: { regexp: '^y' } })),
          base: find({}),
        },
        {
          ...field('dataFrom[].find.tags', '`find.tags`', find({ name: undefined, tags: { a: 'b' } })),
          base: find({ name: undefined, tags: { a: 'c' } }),
        },
        {
          ...field('dataFrom[].find.decodingStrategy', '`decode`', find({ decodingStrategy: 'Base64' })),
          base: find({}),
        },
        {
          ...changed(
            'dataFrom[].find.nullBytePolicy',
            'zero bytes are allowed',
            find({ nullBytePolicy: 'Fail' }),
          ),
          base: find({}),
        },
        {
          ...changed(
            'dataFrom[].find.conversionStrategy',
            '`rename` with `invalid: replace`. Unicode becomes an error',
            find({ conversionStrategy: 'Unicode' }),
          ),
          base: find({}),
        },
        {
          ...field(
            'dataFrom[].rewrite[].regexp',
            '`rename`, for case, prefix, path, one text and invalid characters',
            extract({}, { rewrite: [{ regexp: { source: '(.*)', target: 'A_$1' } }] }),
          ),
          base: extract({}),
        },
        {
          ...field(
            'dataFrom[].rewrite[].regexp, other expressions',
            '`rename` with `patterns`',
            extract({}, { rewrite: [{ regexp: { source: '(a)(b)', target: '$2' } }] }),
          ),
          base: extract({}),
        },
        {
          ...lost(
            'dataFrom[].rewrite[].regexp, after a change that `rename` makes later',
            'list each key under `data`',
            extract(
              {},
              {
                rewrite: [
                  { transform: { template: '{{ .value | upper }}' } },
                  { regexp: { source: '(A)(B)', target: '$2' } },
                ],
              },
            ),
          ),
          base: extract({}),
        },
        {
          ...field(
            'dataFrom[].rewrite[].transform.template',
            '`rename`, for case and prefix',
            extract({}, { rewrite: [{ transform: { template: '{{ .value | upper }}' } }] }),
          ),
          base: extract({}),
        },
        {
          ...lost(
            'dataFrom[].rewrite[].merge',
            'list each key under `data`',
            extract({}, { rewrite: [{ merge: { into: 'a' } }] }),
          ),
          base: extract({}),
        },
      ],
    },
    {
      title: 'Fields of a template',
      base: template({}),
      cases: [
        { ...field('template.data', '`template`', template({})), base: spec({}) },
        field('template.type', '`target.type`', template({ type: 'shop.example/db' })),
        without(
          'template.engineVersion: v2',
          'the templates that are translated',
          template({ engineVersion: 'v2' }),
        ),
        lost('template.engineVersion: v1', 'its functions are others', template({ engineVersion: 'v1' })),
        field('template.metadata.labels', '`target.labels`', template({ metadata: { labels: { a: 'b' } } })),
        field(
          'template.metadata.annotations',
          '`target.annotations`',
          template({ metadata: { annotations: { a: 'b' } } }),
        ),
        changed(
          'template.metadata.finalizers',
          'not set: existing finalizers stay',
          template({ metadata: { finalizers: ['a.b/c'] } }),
        ),
        without('template.mergePolicy: Replace', 'the default', template({ mergePolicy: 'Replace' })),
        field(
          'template.mergePolicy: Merge',
          'a template beside the keys of the sources',
          template({ mergePolicy: 'Merge' }),
        ),
        field(
          'template.templateFrom[].literal',
          '`template`, if each action is a part of one value',
          literal({ literal: 'a: b\n' }),
        ),
        changed(
          'template.templateFrom[].literal, with actions',
          '`template`. Each value is a template of its own',
          literal({ literal: 'a: "{{ .K }}"\n' }),
        ),
        lost(
          'template.templateFrom[].literal, with blocks around keys',
          'copy the text to `template.data`',
          literal({ literal: '{{ range .K }}a: b{{ end }}' }),
        ),
        changed(
          'template.templateFrom[].configMap.name',
          '`template`, with a copy of the text',
          configMap({ key: 'url' }),
        ),
        changed(
          'template.templateFrom[].configMap.items[].key',
          'the key of the template',
          configMap({ key: 'other' }),
        ),
        changed(
          'template.templateFrom[].configMap.items[].templateAs',
          'the key of the template, or the keys in its text',
          configMap({ key: 'pairs', templateAs: 'KeysAndValues' }),
        ),
        lost(
          'template.templateFrom[].secret',
          'not read, because the text may be secret',
          literal({ secret: { name: 't', items: [{ key: 'a' }] } }),
        ),
        field(
          'template.templateFrom[].target: Labels, Annotations',
          '`target.labels`, `target.annotations`',
          literal({ literal: 'a: b\n', target: 'Labels' }),
        ),
        changed(
          'template.templateFrom[].valuesDecodingStrategy: Base64',
          'the filter `base64_decode`',
          literal({ literal: 'a: "{{ .K }}"\n', valuesDecodingStrategy: 'Base64' }),
        ),
      ],
    },
    {
      title: 'Fields of a ClusterExternalSecret',
      base: everywhere({}),
      cases: [
        field(
          'externalSecretSpec',
          'the mapping',
          everywhere({ externalSecretSpec: { ...INNER, refreshInterval: '5m' } }),
        ),
        field('externalSecretName', '`target.secret`', everywhere({ externalSecretName: 'db' })),
        field(
          'externalSecretMetadata.labels',
          '`target.labels`',
          everywhere({ externalSecretMetadata: { labels: { a: 'b' } } }),
        ),
        field(
          'externalSecretMetadata.annotations',
          '`target.annotations`',
          everywhere({ externalSecretMetadata: { annotations: { a: 'b' } } }),
        ),
        field('namespaces', '`target.namespaces`', everywhere({ namespaces: ['a', 'b'] })),
        field(
          'namespaceSelector',
          '`target.namespaceSelector`',
          everywhere({ namespaces: [], namespaceSelector: { matchLabels: { a: 'b' } } }),
        ),
        field(
          'namespaceSelector.matchExpressions',
          '`target.namespaceSelector`',
          everywhere({
            namespaces: [],
            namespaceSelector: { matchExpressions: [{ key: 'a', operator: 'Exists' }] },
          }),
        ),
        field(
          'namespaceSelectors, that differ in one value',
          '`target.namespaceSelector`',
          everywhere({
            namespaces: [],
            namespaceSelectors: [{ matchLabels: { a: 'b' } }, { matchLabels: { a: 'c' } }],
          }),
        ),
        changed(
          'namespaceSelectors, others',
          'one mapping for each selector. They never select the same namespace',
          everywhere({
            namespaces: [],
            namespaceSelectors: [{ matchLabels: { a: 'b' } }, { matchLabels: { c: 'd' } }],
          }),
        ),
        without('refreshTime', 'nothing: secretbridge watches namespaces', everywhere({ refreshTime: '1m' })),
      ],
    },
    {
      title: 'Fields of a store',
      base: [vault(), uses],
      cases: [
        without('controller', 'nothing: it chooses one of several controllers', [
          vault({}, { controller: 'a' }),
          uses,
        ]),
        without('refreshInterval', 'nothing: secretbridge checks stores itself', [
          vault({}, { refreshInterval: 60 }),
          uses,
        ]),
        without('retrySettings', 'nothing: secretbridge has its own retries', [
          vault({}, { retrySettings: { maxRetries: 3 } }),
          uses,
        ]),
        field('conditions[].namespaces', '`access`', [
          vault({}, { conditions: [{ namespaces: ['apps'] }] }),
          uses,
        ]),
        field('conditions[].namespaceRegexes', '`access`, as globs', [
          vault({}, { conditions: [{ namespaceRegexes: ['^ap.*$'] }] }),
          uses,
        ]),
        changed('conditions[].namespaceSelector', '`access`, for the namespaces that use the store now', [
          vault({}, { conditions: [{ namespaceSelector: { matchLabels: { a: 'b' } } }] }),
          uses,
        ]),
        lost('provider, any other kind', 'secretbridge does not read its store', [
          store('vault', { gcpsm: { projectID: 'p' } }),
          uses,
        ]),
      ],
    },
    {
      title: 'Fields of provider.vault',
      base: [vault(), uses],
      cases: [
        field('server', '`address`', [vault({ server: 'https://other.internal:8200' }), uses]),
        field('path', '`mount`', [vault({ path: 'kv' }), uses]),
        field('version', '`kvVersion`', [vault({ version: 'v1' }), uses]),
        field('namespace', '`namespace`', [vault({ namespace: 'team' }), uses]),
        changed('caBundle', '`tls.caFile`, a file that you mount', [vault({ caBundle: 'YQ==' }), uses]),
        changed('caProvider', '`tls.caFile`, a file that you mount', [
          vault({ caProvider: { type: 'Secret', name: 'ca', namespace: 'a', key: 'ca' } }),
          uses,
        ]),
        changed(
          'tls.certSecretRef, tls.keySecretRef',
          '`tls.certFile` and `tls.keyFile`, files that you mount',
          [
            vault({
              tls: {
                certSecretRef: { name: 'c', namespace: 'a' },
                keySecretRef: { name: 'c', namespace: 'a' },
              },
            }),
            uses,
          ],
        ),
        changed('headers', 'not sent', [vault({ headers: { a: 'b' } }), uses]),
        changed('readYourWrites', 'nothing, for one server', [vault({ readYourWrites: true }), uses]),
        changed('forwardInconsistent', 'nothing, for one server', [
          vault({ forwardInconsistent: true }),
          uses,
        ]),
        without('checkAndSet', 'nothing: secretbridge never writes', [
          vault({ checkAndSet: { required: true } }),
          uses,
        ]),
        field(
          'auth.namespace',
          '`auth.namespace`',
          login({ namespace: 'a', appRole: { path: 'approle', roleId: 'r', secretRef: LOGIN } }),
        ),
        field('auth.tokenSecretRef', '`auth` with `token`', login({ tokenSecretRef: LOGIN })),
        field(
          'auth.appRole.path',
          '`auth.mountPath`',
          login({ appRole: { path: 'other', roleId: 'r', secretRef: LOGIN } }),
        ),
        field(
          'auth.appRole.roleId',
          '`auth.roleId`',
          login({ appRole: { path: 'approle', roleId: 's', secretRef: LOGIN } }),
        ),
        field(
          'auth.appRole.roleRef',
          '`auth.roleId`, a reference',
          login({ appRole: { path: 'approle', roleRef: LOGIN, secretRef: LOGIN } }),
        ),
        field(
          'auth.appRole.secretRef',
          '`auth.secretId`',
          login({ appRole: { path: 'approle', roleId: 'r', secretRef: { ...LOGIN, key: 'l' } } }),
        ),
        changed('auth.kubernetes.role', '`auth.role`', login({ kubernetes: { role: 'r' } })),
        changed(
          'auth.kubernetes.mountPath',
          '`auth.mountPath`',
          login({ kubernetes: { role: 'r', mountPath: 'k' } }),
        ),
        changed(
          'auth.kubernetes.serviceAccountRef',
          'the service account of secretbridge',
          login({ kubernetes: { role: 'r', serviceAccountRef: { name: 'a', namespace: 'b' } } }),
        ),
        field(
          'auth.kubernetes.secretRef',
          '`auth` with `jwt`',
          login({ kubernetes: { role: 'r', secretRef: LOGIN } }),
        ),
        ...withPassword('ldap', 'ldap'),
        ...withPassword('userPass', 'userpass'),
        field(
          'auth.jwt.secretRef',
          '`auth` with `jwt`',
          login({ jwt: { path: 'jwt', role: 'r', secretRef: LOGIN } }),
        ),
        changed(
          'auth.jwt.kubernetesServiceAccountToken',
          '`auth` with `jwt`, a token that you project',
          login({
            jwt: {
              role: 'r',
              kubernetesServiceAccountToken: { serviceAccountRef: { name: 'a', namespace: 'b' } },
            },
          }),
        ),
        {
          ...field(
            'auth.jwt.path',
            '`auth.mountPath`',
            login({ jwt: { path: 'oidc', role: 'r', secretRef: LOGIN } }),
          ),
          base: login({ jwt: { path: 'jwt', role: 'r', secretRef: LOGIN } }),
        },
        {
          ...field(
            'auth.jwt.role',
            '`auth.role`',
            login({ jwt: { path: 'jwt', role: 's', secretRef: LOGIN } }),
          ),
          base: login({ jwt: { path: 'jwt', role: 'r', secretRef: LOGIN } }),
        },
        changed(
          'auth.cert.clientCert, auth.cert.secretRef',
          '`auth` with `cert`, files that you mount',
          login({ cert: { clientCert: LOGIN, secretRef: LOGIN } }),
        ),
        {
          ...field(
            'auth.cert.path',
            '`auth.mountPath`',
            login({ cert: { path: 'tls', clientCert: LOGIN, secretRef: LOGIN } }),
          ),
          base: login({ cert: { clientCert: LOGIN, secretRef: LOGIN } }),
        },
        {
          ...field(
            'auth.cert.vaultRole',
            '`auth.role`',
            login({ cert: { vaultRole: 'r', clientCert: LOGIN, secretRef: LOGIN } }),
          ),
          base: login({ cert: { clientCert: LOGIN, secretRef: LOGIN } }),
        },
        lost(
          'auth.iam',
          'secretbridge has no such login, so none of its fields',
          login({ iam: { role: 'r' } }),
        ),
        lost(
          'auth.gcp',
          'secretbridge has no such login, so none of its fields',
          login({ gcp: { role: 'r' } }),
        ),
      ],
    },
    {
      title: 'Fields of provider.openBao',
      base: inBao({}),
      cases: [
        field('server', '`address`', inBao({ server: 'https://other.internal:8200' })),
        field('path', '`mount`', inBao({ path: 'kv' })),
        field('version', '`kvVersion`', inBao({ version: 'v1' })),
        field('namespace', '`namespace`', inBao({ namespace: 'team' })),
        changed('caBundle', '`tls.caFile`, a file that you mount', inBao({ caBundle: 'YQ==' })),
        changed(
          'caProvider',
          '`tls.caFile`, a file that you mount',
          inBao({ caProvider: { type: 'Secret', name: 'ca', namespace: 'a', key: 'ca' } }),
        ),
        field('auth.namespace', '`auth.namespace`', inBao({ auth: { namespace: 'a', appRole: APP_ROLE } })),
        field('auth.tokenSecretRef', '`auth` with `token`', inBao({ auth: { tokenSecretRef: LOGIN } })),
        field(
          'auth.appRole.path',
          '`auth.mountPath`',
          inBao({ auth: { appRole: { ...APP_ROLE, path: 'other' } } }),
        ),
        field(
          'auth.appRole.roleId',
          '`auth.roleId`',
          inBao({ auth: { appRole: { ...APP_ROLE, roleId: 's' } } }),
        ),
        field(
          'auth.appRole.roleRef',
          '`auth.roleId`, a reference',
          inBao({ auth: { appRole: { ...APP_ROLE, roleId: undefined, roleRef: LOGIN } } }),
        ),
        field(
          'auth.appRole.secretRef',
          '`auth.secretId`',
          inBao({ auth: { appRole: { ...APP_ROLE, secretRef: { ...LOGIN, key: 'l' } } } }),
        ),
        field(
          'auth.userPass',
          '`auth` with `userpass`',
          inBao({ auth: { userPass: { path: 'userpass', username: 'u', secretRef: LOGIN } } }),
        ),
      ],
    },
    {
      title: 'Fields of provider.aws',
      base: inAws({}),
      cases: [
        field(
          'service',
          '`kind` of the store: Secrets Manager or Parameter Store',
          inAws({ service: 'ParameterStore' }),
        ),
        lost(
          'service: CertificateManager',
          'secretbridge does not read this service',
          inAws({ service: 'CertificateManager' }),
        ),
        field('region', '`region`', inAws({ region: 'us-east-1' })),
        field('role', '`assumeRole`', inAws({ role: ROLE })),
        field('additionalRoles', '`assumeRole`, in this order', inAws({ additionalRoles: [ROLE] })),
        {
          ...field('externalID', '`assumeRole` with `externalId`', inAws({ role: ROLE, externalID: 'e1' })),
          base: inAws({ role: ROLE }),
        },
        {
          ...field(
            'sessionTags',
            '`assumeRole` with `tags`',
            inAws({ role: ROLE, sessionTags: [{ key: 'a', value: 'b' }] }),
          ),
          base: inAws({ role: ROLE }),
        },
        {
          ...changed(
            'sessionTagsPolicy',
            'the tags about the store are not sent',
            inAws({ role: ROLE, sessionTagsPolicy: 'Default' }),
          ),
          base: inAws({ role: ROLE }),
        },
        {
          ...field(
            'customSessionTags',
            '`assumeRole` with `tags`',
            inAws({ role: ROLE, sessionTagsPolicy: 'Custom', customSessionTags: { a: 'b' } }),
          ),
          base: inAws({ role: ROLE, sessionTagsPolicy: 'Custom' }),
        },
        {
          ...changed(
            'transitiveTagKeys',
            'tags are not passed on',
            inAws({ role: ROLE, transitiveTagKeys: ['a'] }),
          ),
          base: inAws({ role: ROLE }),
        },
        without(
          'secretsManager',
          'nothing: secretbridge never writes',
          inAws({ secretsManager: { forceDeleteWithoutRecovery: true } }),
        ),
        field('prefix', 'the start of each `key`', inAws({ prefix: 'team/' })),
        field(
          'auth.secretRef.accessKeyIDSecretRef',
          '`auth.accessKeyId`',
          inAws({
            auth: {
              secretRef: { accessKeyIDSecretRef: { ...LOGIN, key: 'a' }, secretAccessKeySecretRef: LOGIN },
            },
          }),
        ),
        field(
          'auth.secretRef.secretAccessKeySecretRef',
          '`auth.secretAccessKey`',
          inAws({
            auth: {
              secretRef: { accessKeyIDSecretRef: LOGIN, secretAccessKeySecretRef: { ...LOGIN, key: 's' } },
            },
          }),
        ),
        field(
          'auth.secretRef.sessionTokenSecretRef',
          '`auth.sessionToken`',
          inAws({
            auth: {
              secretRef: {
                accessKeyIDSecretRef: LOGIN,
                secretAccessKeySecretRef: LOGIN,
                sessionTokenSecretRef: LOGIN,
              },
            },
          }),
        ),
        changed(
          'auth.jwt.serviceAccountRef',
          '`auth` with `webIdentity` and the role of this account',
          inAws({ auth: { jwt: { serviceAccountRef: { name: 'a', namespace: 'b' } } } }),
        ),
      ],
    },
    {
      title: 'Fields of provider.azurekv',
      base: inAzure({}),
      cases: [
        field('vaultUrl', '`vaultUrl`', inAzure({ vaultUrl: 'https://fabrikam.vault.azure.net' })),
        field('tenantId', '`auth.tenantId`', inAzure({ tenantId: 'u' })),
        without(
          'authType: ServicePrincipal',
          '`auth` with `clientSecret` or `clientCertificate`',
          inAzure({ authType: 'ServicePrincipal' }),
        ),
        changed(
          'authType: ManagedIdentity',
          '`auth` with `managedIdentity`',
          inAzure({ authType: 'ManagedIdentity', authSecretRef: undefined }),
        ),
        changed(
          'authType: WorkloadIdentity',
          '`auth` with `workloadIdentity`',
          inAzure({ authType: 'WorkloadIdentity', authSecretRef: undefined }),
        ),
        {
          ...field(
            'identityId',
            '`auth.clientId` of `managedIdentity`',
            inAzure({ authType: 'ManagedIdentity', authSecretRef: undefined, identityId: 'i' }),
          ),
          base: inAzure({ authType: 'ManagedIdentity', authSecretRef: undefined }),
        },
        {
          ...changed(
            'serviceAccountRef',
            'the service account of secretbridge',
            inAzure({
              authType: 'WorkloadIdentity',
              authSecretRef: undefined,
              serviceAccountRef: { name: 'a', namespace: 'b' },
            }),
          ),
          base: inAzure({ authType: 'WorkloadIdentity', authSecretRef: undefined }),
        },
        field(
          'authSecretRef.clientId',
          '`auth.clientId`',
          inAzure({ authSecretRef: { clientId: { ...LOGIN, key: 'c' }, clientSecret: LOGIN } }),
        ),
        field(
          'authSecretRef.tenantId',
          '`auth.tenantId`',
          inAzure({
            tenantId: undefined,
            authSecretRef: { tenantId: LOGIN, clientId: LOGIN, clientSecret: LOGIN },
          }),
        ),
        field(
          'authSecretRef.clientSecret',
          '`auth.clientSecret`',
          inAzure({ authSecretRef: { clientId: LOGIN, clientSecret: { ...LOGIN, key: 's' } } }),
        ),
        field(
          'authSecretRef.clientCertificate',
          '`auth.certificate`',
          inAzure({ authSecretRef: { clientId: LOGIN, clientCertificate: LOGIN } }),
        ),
        without(
          'environmentType: PublicCloud, USGovernmentCloud, ChinaCloud',
          'nothing: the address names the cloud',
          inAzure({ environmentType: 'PublicCloud' }),
        ),
        field('environmentType: GermanCloud', '`authorityHost`', inAzure({ environmentType: 'GermanCloud' })),
        {
          ...without(
            'environmentType: AzureStackCloud',
            'nothing: `customCloudConfig` has the address of the login',
            inCloud({ environmentType: 'AzureStackCloud' }),
          ),
          base: inCloud({}),
        },
        without('useAzureSDK', 'nothing: secretbridge uses the SDK', inAzure({ useAzureSDK: true })),
        field('customCloudConfig.activeDirectoryEndpoint', '`authorityHost`', inCloud({})),
        ...['keyVaultEndpoint', 'keyVaultDNSSuffix', 'resourceManagerEndpoint'].map((name) => ({
          ...without(
            `customCloudConfig.${name}`,
            'nothing: secretbridge needs the addresses of the login and the vault only',
            inCloud({}, { [name]: 'https://other.local.azurestack.external' }),
          ),
          base: inCloud({}),
        })),
      ],
    },
  ],
};
