import { describe, expect, it } from 'vitest';
import { KUBERNETES_EXTERNAL_SECRETS } from '../../src/import/kubernetes-external-secrets/tool.ts';
import { SECRETS_STORE_CSI } from '../../src/import/secrets-store-csi/tool.ts';
import { VAULT_SECRETS_OPERATOR } from '../../src/import/vault-secrets-operator/tool.ts';
import { openBench } from '../cli/harness.ts';
import { aws, controller, vault as vaultSecret } from './fields/kubernetes-external-secrets.ts';
import { azure, vault, workload } from './fields/secrets-store-csi.ts';
import { auth, connection, staticSecret } from './fields/vault-secrets-operator.ts';
import { importedWith, places } from './harness.ts';

describe('a SecretProviderClass', () => {
  it('a SecretProviderClass without a Secret becomes a proposal, and the report names the volumes to replace', async () => {
    const { result, mappings } = await importedWith(SECRETS_STORE_CSI, [
      azure({ spec: { secretObjects: undefined } }),
      workload(),
    ]);
    expect(mappings).toEqual([]);
    expect(result.config).toMatch(/not active: SecretProviderClass shop\/web\..*\n#.*name: shop\.web/);
    const [report] = result.objects;
    expect(report?.outcome).toBe('notCarried');
    const text = JSON.stringify(report?.findings);
    expect(text).toContain('Deployment shop/web (volume `files`)');
    expect(text).toContain('`pw` is only mounted as a file, in no Secret');
    expect(text).toContain('secret: { secretName: … }');
  });

  it('a SecretProviderClass without a Secret becomes an active mapping if the user asks for it', async () => {
    const objects = [azure({ spec: { secretObjects: undefined } }), workload()];
    const { mapping, result } = await importedWith(SECRETS_STORE_CSI, objects, { mountedFiles: true });
    expect(mapping).toEqual({
      name: 'shop.web',
      target: { namespace: 'shop', secret: 'web' },
      data: { pw: { store: 'contoso', key: 'db-password' } },
    });
    expect(result.objects[0]?.outcome).toBe('changed');
    expect(JSON.stringify(result.objects[0]?.findings)).toContain('visible to more people');
  });

  it('a SecretProviderClass with several Secrets becomes one mapping for each, and a loss in one does not affect the other', async () => {
    const { mappings, result } = await importedWith(SECRETS_STORE_CSI, [
      azure({
        more: [{ objectName: 'public', objectType: 'secret', objectEncoding: 'utf-16' }],
        spec: {
          secretObjects: [
            { secretName: 'db', type: 'Opaque', data: [{ objectName: 'pw', key: 'password' }] },
            { secretName: 'key', type: 'Opaque', data: [{ objectName: 'public', key: 'key' }] },
          ],
        },
      }),
    ]);
    expect(mappings.map(({ name }) => name)).toEqual(['shop.db']);
    expect(result.config).toContain('#  - name: shop.key');
    expect(result.objects[0]).toMatchObject({ outcome: 'notCarried', becomes: ['shop.db'] });
  });

  it('a store is created once for equal settings, and only the namespaces of its objects may use the store', async () => {
    const other = { ...azure(), metadata: { name: 'api', namespace: 'web' } };
    const { stores, access } = await importedWith(SECRETS_STORE_CSI, [azure(), other, vault()].slice(0, 2));
    expect(stores.map(({ name }) => name)).toEqual(['contoso']);
    expect(access).toEqual([{ namespaces: ['shop', 'web'], stores: ['contoso'], keys: ['**'] }]);
  });

  it.each([
    ['no list', { parameters: { objects: 'a: b' } }, 'spec.parameters.objects'],
    ['no YAML', { parameters: { objects: 'array: [' } }, 'spec.parameters.objects'],
    [
      'an item that is no object',
      { parameters: { objects: 'array: [ "just text" ]' } },
      'spec.parameters.objects.array[0]',
    ],
    ['an unknown field', { object: { objectColor: 'red' } }, 'spec.parameters.objects.array[0].objectColor'],
    [
      'an unknown file',
      { secret: { data: [{ objectName: 'x', key: 'x' }] } },
      'spec.secretObjects[0].data[0].objectName',
    ],
  ])('a SecretProviderClass with %s is reported as not converted', async (_, parts, at) => {
    const { report } = await importedWith(SECRETS_STORE_CSI, [azure(parts)]);
    expect(places(report('SecretProviderClass', 'web'), 'lost')).toContain(at);
  });
});

describe('objects of the Vault Secrets Operator', () => {
  it('a VaultStaticSecret becomes a mapping with all fields of the secret', async () => {
    const { mapping, stores, access } = await importedWith(VAULT_SECRETS_OPERATOR, [
      connection(),
      auth(),
      staticSecret({ rolloutRestartTargets: [{ kind: 'Deployment', name: 'web' }] }),
    ]);
    expect(mapping).toEqual({
      name: 'shop.db',
      target: { namespace: 'shop', secret: 'db' },
      dataFrom: [{ store: 'shop.login.kv', key: 'shop/db' }],
      refresh: '1m',
      restart: [{ kind: 'Deployment', name: 'web' }],
      onConflict: 'adoptAndDropOwner',
    });
    expect(stores).toEqual([
      {
        name: 'shop.login.kv',
        kind: 'vault',
        address: 'https://vault.internal:8200',
        mount: 'kv',
        kvVersion: 2,
        auth: {
          method: 'appRole',
          roleId: 'r-1',
          secretId: { secretRef: { name: 'shop.login', key: 'id' } },
        },
      },
    ]);
    expect(access).toEqual([{ namespaces: ['shop'], stores: ['shop.login.kv'], keys: ['**'] }]);
  });

  it.each([
    ['VaultAuth', [connection(), staticSecret()]],
    ['VaultConnection', [auth(), staticSecret()]],
  ])(
    'a VaultStaticSecret whose %s is missing in the input is reported as not converted',
    async (_, objects) => {
      const { report, mappings } = await importedWith(VAULT_SECRETS_OPERATOR, objects);
      expect(mappings).toEqual([]);
      expect(places(report('VaultStaticSecret', 'db'), 'lost')).toEqual(['spec.vaultAuthRef']);
    },
  );

  it('a VaultStaticSecret without a login uses the default objects of the operator', async () => {
    const own = { name: 'default', namespace: 'vault-secrets-operator-system' };
    const { stores } = await importedWith(VAULT_SECRETS_OPERATOR, [
      { ...connection(), metadata: own },
      { ...auth({ vaultConnectionRef: undefined, allowedNamespaces: ['*'] }), metadata: own },
      staticSecret({ vaultAuthRef: undefined }),
    ]);
    expect(stores).toMatchObject([{ address: 'https://vault.internal:8200' }]);
  });

  it('a VaultStaticSecret without `create` becomes a mapping that merges keys, with a step that releases the keys', async () => {
    const objects = [connection(), auth(), staticSecret({ destination: { create: false } })];
    const { mapping, result } = await importedWith(VAULT_SECRETS_OPERATOR, objects);
    expect(mapping?.target).toMatchObject({ secret: 'db', mode: 'merge' });
    expect(mapping).not.toHaveProperty('onConflict');
    expect(result.steps.map(({ title }) => title)).toContain('Release merged keys');
  });

  it('a template that replaces a field of the secret is reported, because the other fields are unknown', async () => {
    const templates = { password: { text: '{{ .Secrets.password | b64enc }}' } };
    const objects = [connection(), auth(), staticSecret({ transformation: { templates } })];
    const { report } = await importedWith(VAULT_SECRETS_OPERATOR, objects);
    expect(places(report('VaultStaticSecret', 'db'), 'lost')).toEqual([
      'spec.destination.transformation.templates.password',
    ]);
    const listed = staticSecret({ transformation: { templates, includes: ['^(user|password)$'] } });
    const { mapping } = await importedWith(VAULT_SECRETS_OPERATOR, [connection(), auth(), listed]);
    expect(mapping?.template?.data).toMatchObject({ password: '{{ source_password | base64 }}' });
  });
});

describe('objects of kubernetes-external-secrets', () => {
  it('an ExternalSecret of kubernetes-external-secrets becomes a mapping without bounds', async () => {
    const { mapping, stores, access } = await importedWith(KUBERNETES_EXTERNAL_SECRETS, [aws()]);
    expect(mapping).toEqual({
      name: 'shop.db',
      target: { namespace: 'shop', secret: 'db' },
      data: { password: { store: 'aws-eu-west-1', key: 'shop/db', property: 'password' } },
      onConflict: 'adoptAndDropOwner',
    });
    expect(stores).toMatchObject([{ kind: 'aws-secrets-manager', region: 'eu-west-1' }]);
    expect(access).toBeUndefined();
  });

  it('the address of Vault comes from the option, or from the Deployment of the controller', async () => {
    const without = await importedWith(KUBERNETES_EXTERNAL_SECRETS, [vaultSecret()]);
    expect(places(without.report('ExternalSecret', 'db'), 'lost')).toEqual(['spec.backendType']);
    const option = await importedWith(KUBERNETES_EXTERNAL_SECRETS, [vaultSecret()], {
      vaultAddress: 'https://option.internal:8200',
    });
    expect(option.stores).toMatchObject([{ address: 'https://option.internal:8200', mount: 'secret' }]);
    const found = await importedWith(KUBERNETES_EXTERNAL_SECRETS, [vaultSecret(), controller()]);
    expect(found.stores).toMatchObject([{ address: 'https://vault.internal:8200', mount: 'secret' }]);
  });
});

describe('the import commands', () => {
  it.each([
    ['secrets-store-csi', azure()],
    ['vault-secrets-operator', staticSecret()],
    ['kubernetes-external-secrets', aws()],
  ])(
    '`import %s` prints a report with the steps of the migration, and names its page',
    async (name, object) => {
      await using bench = await openBench();
      await bench.write(
        'in.yaml',
        [object, connection(), auth()].map((one) => JSON.stringify(one)).join('\n---\n'),
      );
      const { stdout, stderr, code } = await bench.run('import', name, 'in.yaml');
      expect(code).toBe(4);
      expect(stdout).toContain(`# Created by \`secretbridge import ${name}\``);
      expect(stderr).toMatch(/Stop .*Check that no byte would change.*Take over.*Start the service/s);
      expect(stderr).toContain(`docs/how-to/move-from-${name}.md`);
    },
  );

  it('`import secrets-store-csi` takes the address of Vault from an option', async () => {
    await using bench = await openBench();
    await bench.write('in.yaml', JSON.stringify(vault({ parameters: { vaultAddress: '' } })));
    const from = ['import', 'secrets-store-csi', 'in.yaml'];
    expect((await bench.run(...from)).stderr).toContain('--vault-address');
    const { stdout } = await bench.run(...from, '--vault-address', 'https://vault.internal:8200');
    expect(stdout).toContain('address: https://vault.internal:8200');
  });

  it('`import secrets-store-csi --mounted-files` writes files that pods only mount to Secrets', async () => {
    await using bench = await openBench();
    await bench.write('in.yaml', JSON.stringify(azure({ spec: { secretObjects: [] } })));
    const from = ['import', 'secrets-store-csi', 'in.yaml'];
    expect((await bench.run(...from)).stderr).toContain('--mounted-files');
    expect((await bench.run(...from, '--mounted-files')).stdout).toMatch(/^ {2}- name: shop\.web$/m);
  });

  it.each([
    [[], 'name the namespaces to read with --namespace'],
    [['--namespace', 'apps', '--store', 'nothing'], 'the configuration has no store "nothing"'],
  ])('`import cluster` reports the problem of the options %j', async (args, message) => {
    await using bench = await openBench();
    const store = args.includes('--store') ? [] : ['--store', 'local'];
    const result = await bench.run('import', 'cluster', ...store, ...args);
    expect(result).toMatchObject({ code: 64, stderr: expect.stringContaining(message) });
  });
});
