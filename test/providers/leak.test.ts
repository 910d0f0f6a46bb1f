import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { everythingIn, MARKER } from '../conformance/provider.ts';
import { AwsError, startAwsServer } from '../fakes/aws-server.ts';
import { FAULTS as AZURE_FAULTS } from '../fakes/azure-server/faults.ts';
import { FAULTS } from '../fakes/fault-proxy.ts';
import { startVaultServer } from '../fakes/vault-server.ts';
import { findLeaks, markerOf } from '../leak-search.ts';
import { openParameters } from './aws-parameter-store/harness.ts';
import { openAws, roleArn, STATIC } from './aws-secrets-manager/harness.ts';
import { BY_SECRET, CLIENT_SECRET, openAzure } from './azure-key-vault/harness.ts';
import { APP_ROLE, openVault } from './vault/harness.ts';

/** Texts of the vendors that must not be in any error. */
const VENDOR_TEXTS = {
  aws: ['which must never be shown'],
  azure: ["a text of the vendor's", 'AADSTS', 'Sign in', 'aka.ms'],
};
const ROLE = { auth: { ...STATIC, assumeRole: [{ roleArn: roleArn('bridge') }] } };

/** Checks that a text contains none of the secrets, in any encoding. */
function expectNoLeaks(text: string, secrets: readonly string[]): void {
  const markers = [MARKER, ...secrets].map((secret, index) => markerOf(`secret ${index}`, secret));
  expect(findLeaks([{ name: 'text', bytes: text }], markers)).toEqual([]);
}

// Other tests look for values in the error after every failure. These tests also look for credentials, tokens and texts
// of the vendors.
describe('errors about Vault', { tags: ['long'] }, () => {
  it.each(FAULTS)(
    'keeps secrets out of the errors after the fault "%s" during login and read',
    async (fault) => {
      for (const path of [/login/, /secret\/data|lookup-self/]) {
        await using store = await openVault({ config: APP_ROLE });
        store.server.put('secret', 'a', JSON.stringify({ a: MARKER }));
        store.server.deny(/secret\/data\/b/);
        store.proxy.set(fault, path);
        const results = await store.provider.read([{ key: 'a' }, { key: 'b' }, { key: 'none' }]);
        const checks = await store.provider.check();
        expectNoLeaks(everythingIn([...results, ...checks]), [
          store.server.appRole.secretId,
          ...store.server.tokens,
        ]);
      }
    },
  );
});

describe('errors about AWS', { tags: ['long'] }, () => {
  async function expectNothingIn(aws: Awaited<ReturnType<typeof openAws>>): Promise<void> {
    const refs = ['a', 'b', 'none'].map((key) => ({ key }));
    const results = await aws.provider.read([...refs, { key: 'a', version: 'AWSPREVIOUS' }]);
    const text = everythingIn([...results, ...(await aws.provider.check())]);
    expectNoLeaks(text, aws.server.secrets());
    for (const vendorText of VENDOR_TEXTS.aws) expect(text).not.toContain(vendorText);
  }

  it.each(FAULTS)('keeps secrets and texts of AWS out of the errors after the fault "%s"', async (fault) => {
    await using aws = await openAws({ config: ROLE });
    for (const name of ['a', 'b']) aws.server.store.put(name, MARKER);
    for (const current of [fault, undefined, fault]) {
      aws.proxy.set(current);
      await expectNothingIn(aws);
    }
  });

  it.each([
    ['hang', /./],
    ['cut', /./],
    ['cut', /Secret/],
    ['html', /AssumeRole/],
    ['wrong type', /./],
    ['wrong form', /./],
    ['wrong form', /Secret/],
    ['wrong form', /AssumeRole/],
    [new AwsError('AccessDeniedException'), /./],
    [new AwsError('SomethingNew'), /./],
    [new AwsError('AccessDeniedException'), /Describe|Batch/],
  ] as const)(
    'keeps secrets and texts of AWS out of the errors after the fault %s in operations %s',
    async (fault, operations) => {
      await using aws = await openAws({ config: ROLE });
      for (const name of ['a', 'b']) aws.server.store.put(name, MARKER);
      aws.server.failKey('b', new AwsError('DecryptionFailure'));
      aws.server.fail(fault, operations);
      await expectNothingIn(aws);
    },
  );
});

describe('errors about Parameter Store', { tags: ['long'] }, () => {
  async function expectNothingIn(aws: Awaited<ReturnType<typeof openParameters>>): Promise<void> {
    const refs = ['/a', '/b', '/none'].map((key) => ({ key }));
    const results = await aws.provider.read([...refs, { key: '/a', version: 'blue' }]);
    const searches = await Promise.allSettled([aws.provider.find({ path: '/', tags: {} })]);
    const failures = searches.flatMap((search) => (search.status === 'rejected' ? [search.reason] : []));
    const text = everythingIn([...results, ...failures, ...(await aws.provider.check())]);
    expectNoLeaks(text, aws.server.secrets());
    for (const vendorText of VENDOR_TEXTS.aws) expect(text).not.toContain(vendorText);
  }

  it.each(FAULTS)('keeps secrets and texts of AWS out of the errors after the fault "%s"', async (fault) => {
    await using aws = await openParameters({ config: ROLE });
    for (const name of ['/a', '/b']) aws.parameters.put(name, MARKER);
    for (const current of [fault, undefined, fault]) {
      aws.proxy.set(current);
      await expectNothingIn(aws);
    }
  });

  it.each([
    ['hang', /./],
    ['cut', /Parameter/],
    ['html', /AssumeRole/],
    ['wrong type', /./],
    ['wrong form', /Parameter/],
    [new AwsError('AccessDeniedException'), /./],
    [new AwsError('SomethingNew'), /./],
    [new AwsError('AccessDeniedException'), /^GetParameter$/],
  ] as const)(
    'keeps secrets and texts of AWS out of the errors after the fault %s in operations %s',
    async (fault, operations) => {
      await using aws = await openParameters({ config: ROLE });
      for (const name of ['/a', '/b']) aws.parameters.put(name, MARKER);
      aws.server.failKey('/b', new AwsError('InvalidKeyId'));
      aws.server.fail(fault, operations);
      await expectNothingIn(aws);
    },
  );
});

describe('errors about Key Vault', { tags: ['long'] }, () => {
  it.each(AZURE_FAULTS)(
    'keeps secrets and texts of Azure out of the errors after the fault "%s" during login, read and proof of absence',
    async (fault) => {
      for (const line of [/^authority POST/, /\/secrets\/a$|deletedsecrets/]) {
        await using store = await openAzure();
        for (const name of ['a', 'b']) store.server.secrets.put(name, MARKER);
        store.server.deny(/secrets\/b/);
        store.server.fail(fault, line);
        const results = await store.provider.read([
          { key: 'a' },
          { key: 'a', object: 'certificate' },
          { key: 'b' },
          { key: 'none' },
        ]);
        const failures = results.filter(({ kind }) => kind !== 'found');
        const text = everythingIn([...failures, ...(await store.provider.check())]);
        expectNoLeaks(text, [CLIENT_SECRET, ...store.server.login.issued]);
        for (const vendorText of VENDOR_TEXTS.azure) expect(text).not.toContain(vendorText);
      }
    },
  );
});

interface Store extends AsyncDisposable {
  readonly config: object;
  readonly env: Readonly<Record<string, string>>;
  secrets(): readonly string[];
}

async function storeOnVault(): Promise<Store> {
  const server = await startVaultServer();
  server.put('secret', 'a', JSON.stringify({ a: MARKER }));
  return {
    config: { kind: 'vault', address: server.address, ...APP_ROLE },
    env: {
      ROLE_ID: server.appRole.roleId,
      SECRET_ID: server.appRole.secretId,
      VAULT_ADDR: 'http://127.0.0.1:1',
      VAULT_TOKEN: 'from-env',
      VAULT_SKIP_VERIFY: 'false',
    },
    secrets: () => [server.appRole.secretId, ...server.tokens],
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function storeOnAws(kind: 'aws-secrets-manager' | 'aws-parameter-store'): Promise<Store> {
  const server = await startAwsServer();
  server.store.put('a', MARKER);
  server.parameters.put('a', MARKER);
  return {
    config: { kind, region: 'eu-west-1', endpoint: server.address, ...ROLE },
    env: {
      KEY_ID: server.root.accessKeyId,
      SECRET_KEY: server.root.secretAccessKey,
      AWS_PROFILE: 'nobody',
      AWS_ENDPOINT_URL: 'http://127.0.0.1:9',
      AWS_ACCESS_KEY_ID: 'AKIAOTHER',
      AWS_SECRET_ACCESS_KEY: 'other',
      HTTP_PROXY: 'http://127.0.0.1:9',
      NODE_USE_ENV_PROXY: '1',
    },
    secrets: () => server.secrets(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function storeOnAzure(isTrustedByNode: boolean): Promise<Store> {
  const { server, folder, [Symbol.asyncDispose]: close } = await openAzure();
  for (const name of ['a', 'b']) server.secrets.put(name, MARKER);
  const caFile = join(folder, 'authority.pem');
  await writeFile(caFile, server.ca);
  const trust = isTrustedByNode ? {} : { tls: { caFile } };
  return {
    config: { kind: 'azure-key-vault', vaultUrl: server.address, ...BY_SECRET, ...trust },
    env: {
      CLIENT_SECRET,
      AZURE_AUTHORITY_HOST: server.authorityHost,
      AZURE_LOG_LEVEL: 'verbose',
      ...(isTrustedByNode ? { NODE_EXTRA_CA_CERTS: caFile } : {}),
    },
    secrets: () => [CLIENT_SECRET, ...server.login.issued],
    [Symbol.asyncDispose]: close,
  };
}

const SCRIPT = `
  import { testDeps } from './test/conformance/provider-deps.ts';
  const folder = './src/providers/' + process.env.FOLDER;
  const configs = await import(folder + '/config.ts');
  const providers = await import(folder + '/index.ts');
  const schema = configs[process.env.SCHEMA];
  const provider = await providers[process.env.PROVIDER].create(
    schema.parse(JSON.parse(process.env.CONFIG)),
    testDeps({ env: process.env }),
  );
  const certificate = process.env.PROVIDER === 'azureKeyVault' ? [{ key: 'b', object: 'certificate' }] : [];
  const results = await provider.read([{ key: 'a' }, { key: 'none' }, ...certificate]);
  console.log(results.map(({ kind }) => kind).join());
`;

describe('a process with an open store', () => {
  it.each([
    ['Vault', storeOnVault, 'vault', 'VaultConfig', 'vault', /node-vault/],
    [
      'AWS Secrets Manager',
      () => storeOnAws('aws-secrets-manager'),
      'aws-secrets-manager',
      'AwsConfig',
      'awsSecretsManager',
      /aws|sdk/i,
    ],
    [
      'AWS Parameter Store',
      () => storeOnAws('aws-parameter-store'),
      'aws-parameter-store',
      'ParameterStoreConfig',
      'awsParameterStore',
      /aws|sdk/i,
    ],
    ['Azure', () => storeOnAzure(false), 'azure-key-vault', 'AzureConfig', 'azureKeyVault', undefined],
    [
      'Azure, with the authority in NODE_EXTRA_CA_CERTS',
      () => storeOnAzure(true),
      'azure-key-vault',
      'AzureConfig',
      'azureKeyVault',
      undefined,
    ],
  ] as const)(
    "a process with an open store prints no data that it sends, even with the vendor's logs enabled, and exits by itself: %s",
    async (_, open, folder, schema, provider, vendor) => {
      await using store = await open();
      const { stdout, stderr } = await promisify(execFile)(
        process.execPath,
        ['--input-type=module-typescript', '--eval', SCRIPT],
        {
          timeout: 15_000,
          env: {
            FOLDER: folder,
            SCHEMA: schema,
            PROVIDER: provider,
            CONFIG: JSON.stringify(store.config),
            DEBUG: '*',
            ...store.env,
          },
        },
      );
      expect(stdout.trim()).toBe(provider === 'azureKeyVault' ? 'found,absent,failed' : 'found,absent');
      expectNoLeaks(stderr, store.secrets());
      if (vendor !== undefined) expect(stderr).not.toMatch(vendor);
    },
  );
});
