import { describe, expect, it } from 'vitest';
import { external, imported, places, store } from './harness.ts';

const one = { data: [{ secretKey: 'K', remoteRef: { key: 'a', property: 'p' } }] };
const ref = (name: string, key?: string, namespace = 'secretbridge') => ({
  name,
  namespace,
  ...(key === undefined ? {} : { key }),
});
const secretRef = (name: string, key: string) => ({ secretRef: { name, key } });

describe('a Vault store', () => {
  const vault = (auth: object, more: object = {}) =>
    store('vault', { vault: { server: 'https://vault.internal:8200', path: 'secret', auth, ...more } });

  it.each([
    ['admin', 'admin/team', { namespace: 'admin' }],
    ['/admin/', 'admin', {}],
    ['/', 'admin', { namespace: 'root' }],
    ['admin', undefined, { namespace: 'admin' }],
    [undefined, 'admin', {}],
  ])(
    'a Vault store keeps its login in namespace %j if the secrets are in %j',
    async (own, namespace, more) => {
      const auth = { kubernetes: { role: 'r' }, ...(own === undefined ? {} : { namespace: own }) };
      const { stores, report } = await imported(
        vault(auth, namespace === undefined ? {} : { namespace }),
        external(one),
      );
      expect(stores[0]?.auth).toEqual({ method: 'kubernetes', role: 'r', ...more });
      expect(places(report('ClusterSecretStore', 'vault'), 'lost')).toEqual([]);
    },
  );

  it.each([
    [{ tokenSecretRef: ref('s', 't') }, { method: 'token', token: secretRef('s', 't') }],
    [
      { appRole: { path: 'approle', roleId: 'r', secretRef: ref('s', 'id') } },
      { method: 'appRole', roleId: 'r', secretId: secretRef('s', 'id') },
    ],
    [
      { appRole: { path: 'team', roleRef: ref('s', 'role'), secretRef: ref('s', 'id') } },
      {
        method: 'appRole',
        roleId: secretRef('s', 'role'),
        secretId: secretRef('s', 'id'),
        mountPath: 'team',
      },
    ],
    [
      { kubernetes: { mountPath: 'k8s', role: 'r', serviceAccountRef: { name: 'sa', namespace: 'x' } } },
      { method: 'kubernetes', role: 'r', mountPath: 'k8s' },
    ],
    [
      { kubernetes: { role: 'r', secretRef: ref('s') } },
      { method: 'jwt', role: 'r', jwt: secretRef('s', 'token'), mountPath: 'kubernetes' },
    ],
    [
      // The store as a cluster returns it, with default values filled in.
      { kubernetes: { mountPath: 'kubernetes', role: 'r', secretRef: ref('s') } },
      { method: 'jwt', role: 'r', jwt: secretRef('s', 'token'), mountPath: 'kubernetes' },
    ],
    [
      { jwt: { path: 'jwt', role: 'r', secretRef: ref('s', 'j') } },
      { method: 'jwt', role: 'r', jwt: secretRef('s', 'j') },
    ],
    [
      {
        jwt: {
          role: 'r',
          kubernetesServiceAccountToken: {
            serviceAccountRef: { name: 'sa', namespace: 'x' },
            audiences: ['v'],
          },
        },
      },
      { method: 'jwt', role: 'r', jwt: { file: '/var/run/secretbridge/stores/vault/token' } },
    ],
    [
      { ldap: { path: 'ldap', username: 'u', secretRef: ref('s', 'p') } },
      { method: 'ldap', username: 'u', password: secretRef('s', 'p') },
    ],
    [
      { userPass: { path: 'userpass', username: 'u', secretRef: ref('s', 'p') } },
      { method: 'userpass', username: 'u', password: secretRef('s', 'p') },
    ],
    [
      {
        cert: {
          path: 'cert',
          vaultRole: 'r',
          clientCert: ref('s', 'tls.crt'),
          secretRef: ref('s', 'tls.key'),
        },
      },
      {
        method: 'cert',
        role: 'r',
        certFile: '/var/run/secretbridge/stores/vault/login.crt',
        keyFile: '/var/run/secretbridge/stores/vault/login.key',
      },
    ],
  ])('a Vault store is converted with the login %j', async (auth, expected) => {
    const { stores } = await imported(vault(auth), external(one));
    expect(stores).toEqual([
      {
        name: 'vault',
        kind: 'vault',
        address: 'https://vault.internal:8200',
        kvVersion: 2,
        mount: 'secret',
        auth: expected,
      },
    ]);
  });

  it.each([['iam'], ['gcp']])('a Vault store is not converted if its login is %s', async (method) => {
    const { stores, report } = await imported(vault({ [method]: { role: 'r' } }), external(one));
    expect(stores).toEqual([]);
    expect(places(report('ClusterSecretStore', 'vault'), 'lost')).toEqual([
      `spec.provider.vault.auth.${method}`,
    ]);
    expect(places(report('ExternalSecret', 'db'), 'lost')).toEqual(['spec.secretStoreRef']);
  });

  it('the import reports a missing store if an ExternalSecret names no store', async () => {
    const data = [{ secretKey: 'A', remoteRef: { key: 'a' } }];
    const { report } = await imported(external({ secretStoreRef: undefined, data }));
    expect(report('ExternalSecret', 'db')?.findings).toMatchObject([
      { level: 'lost', at: 'spec.secretStoreRef', what: 'names no store' },
    ]);
  });

  it('a Vault store keeps its namespace, version and certificates, and the report describes how to provide the files', async () => {
    const more = {
      version: 'v1',
      namespace: 'admin/team',
      caProvider: { type: 'ConfigMap', name: 'ca', key: 'ca.pem', namespace: 'x' },
      tls: { certSecretRef: ref('c'), keySecretRef: ref('c') },
    };
    const { stores, report } = await imported(vault({ kubernetes: { role: 'r' } }, more), external(one));
    const folder = '/var/run/secretbridge/stores/vault';
    expect(stores).toMatchObject([
      {
        namespace: 'admin/team',
        kvVersion: 1,
        tls: { caFile: `${folder}/ca.crt`, certFile: `${folder}/tls.crt`, keyFile: `${folder}/tls.key` },
      },
    ]);
    const todo = report('ClusterSecretStore', 'vault')
      ?.findings.map((finding) => finding.todo ?? '')
      .join(' ');
    expect(todo).toContain('ConfigMap `x/ca`');
    expect(todo).toContain(`${folder}/ca.crt`);
  });

  it.each(['a b/k', '?/k', '../k', 'ghp_abcdefghijklmnopqrstuvwxyz0123456789/k'])(
    'a Vault store without a mount lists the key %s as not convertible, and converts the other keys',
    async (key) => {
      const named = (name: string, of: string) =>
        external(
          { data: [{ secretKey: 'K', remoteRef: { key: of, property: 'p' } }] },
          { name, namespace: 'apps' },
        );
      const { stores, mappings, report } = await imported(
        vault({ kubernetes: { role: 'r' } }, { path: undefined }),
        named('odd', key),
        named('fine', 'team/k'),
      );
      expect(stores.map(({ mount }) => mount)).toEqual(['team']);
      expect(mappings.map(({ name }) => name)).toEqual(['apps.fine']);
      expect(places(report('ExternalSecret', 'odd'), 'lost')).toEqual(['spec.data[0].remoteRef.key']);
    },
  );

  it('a Vault store with a suspected credential is listed together with the objects that use it', async () => {
    const path = 'ghp_abcdefghijklmnopqrstuvwxyz0123456789';
    const { stores, mappings, report } = await imported(
      vault({ kubernetes: { role: 'r' } }, { path }),
      external(one),
    );
    expect([stores, mappings]).toEqual([[], []]);
    expect(places(report('ClusterSecretStore', 'vault'), 'lost')).toEqual(['mount']);
    expect(places(report('ExternalSecret', 'db'), 'lost')).toEqual(['spec.secretStoreRef']);
  });

  it('a Vault store without a mount becomes one store for each mount in the keys', async () => {
    const bare = store('vault', { vault: { server: 'https://v:8200', auth: { kubernetes: { role: 'r' } } } });
    const data = ['secret/app', 'team/kv/data/app'].map((key, at) => ({
      secretKey: `K${at}`,
      remoteRef: { key, property: 'p' },
    }));
    const { stores, mapping } = await imported(bare, external({ data }));
    expect(stores.map(({ name, mount }) => [name, mount])).toEqual([
      ['vault.secret', 'secret'],
      ['vault.team-kv', 'team/kv'],
    ]);
    expect(mapping?.data).toEqual({
      K0: { store: 'vault.secret', key: 'app', property: 'p' },
      K1: { store: 'vault.team-kv', key: 'app', property: 'p' },
    });
  });

  it('a Vault store keeps plain http, and the report mentions it', async () => {
    const { stores, report } = await imported(
      vault({ kubernetes: { role: 'r' } }, { server: 'http://vault:8200' }),
      external(one),
    );
    expect(stores).toMatchObject([{ address: 'http://vault:8200', allowHttp: true }]);
    expect(places(report('ClusterSecretStore', 'vault'), 'changed')).toContain('spec.provider.vault.server');
  });
});

describe('an AWS store', () => {
  const aws = (more: object) =>
    store('vault', { aws: { service: 'SecretsManager', region: 'eu-west-1', ...more } });
  const ROLE = 'arn:aws:iam::123456789012:role/reader';

  it.each([
    [{}, { method: 'default' }],
    [
      {
        auth: {
          secretRef: {
            accessKeyIDSecretRef: ref('s', 'id'),
            secretAccessKeySecretRef: ref('s', 'key'),
            sessionTokenSecretRef: ref('s', 't'),
          },
        },
      },
      {
        method: 'static',
        accessKeyId: secretRef('s', 'id'),
        secretAccessKey: secretRef('s', 'key'),
        sessionToken: secretRef('s', 't'),
      },
    ],
    [{ auth: { jwt: { serviceAccountRef: { name: 'sa', namespace: 'x' } } } }, { method: 'default' }],
    [
      { role: ROLE, externalID: 'abc', sessionTags: [{ key: 'a', value: 'b' }] },
      { method: 'default', assumeRole: [{ roleArn: ROLE, externalId: 'abc', tags: { a: 'b' } }] },
    ],
    [
      { role: ROLE, additionalRoles: [`${ROLE}-1`], externalID: 'abc' },
      { method: 'default', assumeRole: [{ roleArn: `${ROLE}-1` }, { roleArn: ROLE, externalId: 'abc' }] },
    ],
  ])('an AWS store is converted with the login %j', async (more, auth) => {
    const { stores } = await imported(aws(more), external(one));
    expect(stores).toEqual([{ name: 'vault', kind: 'aws-secrets-manager', region: 'eu-west-1', auth }]);
  });

  it.each(['us-east-1-fips', 'fips-us-east-1'])(
    'an AWS store uses the FIPS endpoints of %s',
    async (region) => {
      const { stores } = await imported(aws({ region }), external(one));
      expect(stores).toMatchObject([{ region: 'us-east-1', fips: true }]);
    },
  );

  it("an AWS store reads the role of a service account from the account's annotation", async () => {
    const account = {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'sa', namespace: 'x', annotations: { 'eks.amazonaws.com/role-arn': ROLE } },
    };
    const { stores } = await imported(
      account,
      aws({ auth: { jwt: { serviceAccountRef: { name: 'sa', namespace: 'x' } } } }),
      external(one),
    );
    expect(stores).toMatchObject([{ auth: { method: 'webIdentity', roleArn: ROLE } }]);
  });

  it('an AWS store for Parameter Store is converted with its login, and its keys with their versions', async () => {
    const { stores, mappings, report } = await imported(
      aws({ service: 'ParameterStore', role: ROLE, externalID: 'e-1' }),
      external({
        data: [
          { secretKey: 'A', remoteRef: { key: '/app/db', property: 'password' } },
          { secretKey: 'B', remoteRef: { key: 'plain', version: '3' } },
          { secretKey: 'C', remoteRef: { key: '/app/db', version: 'blue' } },
        ],
        dataFrom: [{ find: { path: '/app/flags', tags: { live: 'true' } } }],
      }),
    );
    expect(stores).toEqual([
      {
        name: 'vault',
        kind: 'aws-parameter-store',
        region: 'eu-west-1',
        auth: { method: 'default', assumeRole: [{ roleArn: ROLE, externalId: 'e-1' }] },
      },
    ]);
    expect(mappings).toMatchObject([
      {
        data: {
          A: { store: 'vault', key: '/app/db', property: 'password' },
          B: { store: 'vault', key: 'plain', version: '3' },
          C: { store: 'vault', key: '/app/db', version: 'blue' },
        },
        dataFrom: [{ store: 'vault', find: { path: '/app/flags/', tags: { live: 'true' } } }],
      },
    ]);
    expect(report('ClusterSecretStore', 'vault')?.findings.filter(({ level }) => level === 'lost')).toEqual(
      [],
    );
  });

  it('an AWS store is converted only for Secrets Manager and Parameter Store', async () => {
    const { stores, report } = await imported(aws({ service: 'Other' }), external(one));
    expect(stores).toEqual([]);
    expect(places(report('ClusterSecretStore', 'vault'), 'lost')).toEqual(['spec.provider.aws.service']);
  });
});

describe('an Azure store', () => {
  const azure = (more: object) =>
    store('vault', { azurekv: { vaultUrl: 'https://contoso.vault.azure.net/', ...more } });

  it.each([
    [{ authType: 'ManagedIdentity', identityId: 'i' }, { method: 'managedIdentity', clientId: 'i' }, true],
    [
      { authType: 'WorkloadIdentity', tenantId: 't', serviceAccountRef: { name: 'sa', namespace: 'x' } },
      { method: 'workloadIdentity', tenantId: 't' },
      true,
    ],
    [
      { authType: 'WorkloadIdentity', authSecretRef: { clientId: ref('s', 'id'), tenantId: ref('s', 't') } },
      { method: 'workloadIdentity', tenantId: secretRef('s', 't'), clientId: secretRef('s', 'id') },
      true,
    ],
    [
      { tenantId: 't', authSecretRef: { clientId: ref('s', 'id'), clientSecret: ref('s', 'secret') } },
      {
        method: 'clientSecret',
        tenantId: 't',
        clientId: secretRef('s', 'id'),
        clientSecret: secretRef('s', 'secret'),
      },
      false,
    ],
    [
      {
        authSecretRef: {
          tenantId: ref('s', 't'),
          clientId: ref('s', 'id'),
          clientSecret: ref('s', 'secret'),
        },
      },
      {
        method: 'clientSecret',
        tenantId: secretRef('s', 't'),
        clientId: secretRef('s', 'id'),
        clientSecret: secretRef('s', 'secret'),
      },
      false,
    ],
    [
      {
        authType: 'ServicePrincipal',
        tenantId: 't',
        authSecretRef: { clientId: ref('s', 'id'), clientCertificate: ref('s', 'pem') },
      },
      {
        method: 'clientCertificate',
        tenantId: 't',
        clientId: secretRef('s', 'id'),
        certificate: secretRef('s', 'pem'),
      },
      false,
    ],
  ])('an Azure store is converted with the login %j', async (more, auth, needsPerson) => {
    const { stores, result } = await imported(
      azure(more),
      external({ data: [{ secretKey: 'K', remoteRef: { key: 'a' } }] }),
    );
    expect(stores).toEqual([
      { name: 'vault', kind: 'azure-key-vault', vaultUrl: 'https://contoso.vault.azure.net', auth },
    ]);
    expect(result.needsPerson).toBe(needsPerson);
  });
});

describe('an Azure store with two tenants', () => {
  it.each(['WorkloadIdentity', 'ServicePrincipal'])(
    'an Azure store with two tenants uses the inline tenant (%s)',
    async (authType) => {
      const keys = { clientId: ref('s', 'id'), tenantId: ref('s', 't') };
      const azure = {
        vaultUrl: 'https://c.vault.azure.net',
        authType,
        tenantId: 'plain',
        authSecretRef: authType === 'WorkloadIdentity' ? keys : { ...keys, clientSecret: ref('s', 'x') },
      };
      const { report, stores } = await imported(store('vault', { azurekv: azure }));
      expect(stores).toMatchObject([{ auth: { tenantId: 'plain', clientId: secretRef('s', 'id') } }]);
      expect(places(report('ClusterSecretStore', 'vault'), 'lost')).toEqual([]);
    },
  );
});

describe('an Azure store without a tenant or client id', () => {
  it('an Azure store without a tenant or client id is not converted', async () => {
    const azure = {
      vaultUrl: 'https://c.vault.azure.net',
      tenantId: 't',
      authSecretRef: { clientSecret: ref('s', 'x') },
    };
    const { report, stores } = await imported(store('vault', { azurekv: azure }));
    expect(stores).toEqual([]);
    expect(places(report('ClusterSecretStore', 'vault'), 'lost')).toEqual([
      'spec.provider.azurekv.authSecretRef.clientId',
    ]);
  });
});

describe('credentials', () => {
  it('credentials in other namespaces than that of secretbridge must be copied once each, and the report describes how', async () => {
    const local = (namespace: string) => ({
      apiVersion: 'external-secrets.io/v1beta1',
      kind: 'SecretStore',
      metadata: { name: 'vault', namespace },
      spec: {
        provider: {
          vault: {
            server: 'https://v:8200',
            path: 'kv',
            auth: { tokenSecretRef: { name: 'token', key: 't' } },
          },
        },
      },
    });
    const { stores, access, result } = await imported(local('a'), local('b'));
    expect(stores.map(({ name, auth }) => [name, auth])).toEqual([
      ['a.vault', { method: 'token', token: secretRef('a.token', 't') }],
      ['b.vault', { method: 'token', token: secretRef('b.token', 't') }],
    ]);
    expect(access).toEqual([
      { namespaces: ['a'], stores: ['a.vault'], keys: ['**'] },
      { namespaces: ['b'], stores: ['b.vault'], keys: ['**'] },
    ]);
    expect(
      result.steps
        .flatMap(({ commands }) => commands)
        .filter((command) => command.includes('apply -f -'))
        .join('\n'),
    ).toMatch(/-n a get secret token .*a\.token.*\n.*-n b get secret token .*b\.token/);
  });

  it('credentials cannot be converted if they differ between namespaces', async () => {
    const vault = store('vault', {
      vault: { server: 'https://v:8200', path: 'kv', auth: { tokenSecretRef: { name: 'token', key: 't' } } },
    });
    const { report } = await imported(vault, external(one));
    expect(places(report('ClusterSecretStore', 'vault'), 'lost')).toEqual([
      'spec.provider.vault.auth.tokenSecretRef',
    ]);
  });
});

describe('the namespace conditions of a store', () => {
  const bounded = (conditions: readonly object[]) =>
    store(
      'vault',
      { vault: { server: 'https://v:8200', path: 'kv', auth: { kubernetes: { role: 'r' } } } },
      { conditions },
    );

  it.each([
    [[{ namespaces: ['apps', 'web'] }], ['apps', 'web']],
    [[{ namespaceRegexes: ['^apps$', '^team-.*'] }], ['apps', 'team-*']],
    [[{ namespaceSelector: { matchLabels: { a: 'b' } } }], ['apps']],
    // In a regular expression, `*` repeats the character before it.
    [[{ namespaceRegexes: ['^prod*$', '^app*s$'] }], ['apps']],
    [[{ namespaceRegexes: ['^prod*$'], namespaces: ['apps', 'team-*', '*'] }], ['apps']],
  ])('the namespace conditions of a store become access rules: %j', async (conditions, namespaces) => {
    const { access } = await imported(bounded(conditions), external(one));
    expect(access).toEqual([{ namespaces, stores: ['vault'], keys: ['**'] }]);
  });

  it('the namespace conditions of a store are reported and allow no namespace if they contain an invalid namespace name', async () => {
    const { access, mappings, report } = await imported(
      bounded([{ namespaces: ['*'], namespaceRegexes: ['^prod*$'] }]),
      external(one),
    );
    expect(access).toEqual([]);
    expect(mappings).toEqual([]);
    expect(places(report('ClusterSecretStore', 'vault'), 'changed')).toEqual(
      expect.arrayContaining(['spec.conditions[0].namespaces', 'spec.conditions[0].namespaceRegexes']),
    );
  });

  it('the namespace conditions of a store make a mapping inactive if they exclude the namespace of its ExternalSecret', async () => {
    const { mappings, report } = await imported(bounded([{ namespaces: ['web'] }]), external(one));
    expect(mappings).toEqual([]);
    expect(report('ExternalSecret', 'db')).toMatchObject({
      outcome: 'notCarried',
      findings: [
        {
          what: expect.stringMatching(
            /^the `conditions` of its store exclude this namespace, so External Secrets refuses it too/,
          ),
          todo: expect.stringContaining('`--namespace`'),
        },
      ],
    });
  });
});

describe('a field of an unrendered chart', () => {
  it('a placeholder of an unrendered chart is reported once, even if YAML parses its braces as an object', async () => {
    const region = { '{ .Values.region }': null };
    const { report } = await imported(store('aws', { aws: { service: 'SecretsManager', region } }));
    const lost = report('ClusterSecretStore', 'aws')?.findings.filter(({ level }) => level === 'lost');
    expect(lost).toEqual([
      {
        level: 'lost',
        at: 'spec.provider.aws.region',
        what: 'contains `{{`, so it looks like a template that was not rendered',
        todo: 'Render it first, for example with `helm template`, and import the result.',
      },
    ]);
  });
});

describe('invalid Kubernetes names', () => {
  it('invalid Kubernetes names are never printed as part of a command', async () => {
    const vault = store('vault', {
      vault: {
        server: 'https://v:8200',
        path: 'kv',
        auth: { tokenSecretRef: { name: 'x; rm -rf /', key: 't', namespace: 'a' } },
      },
    });
    const { result, report } = await imported(vault);
    expect(places(report('ClusterSecretStore', 'vault'), 'lost')).toEqual([
      'spec.provider.vault.auth.tokenSecretRef',
    ]);
    expect(JSON.stringify(result.steps)).not.toContain('rm -rf');
  });
});
