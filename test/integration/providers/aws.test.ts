import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateSecretCommand, UpdateSecretVersionStageCommand } from '@aws-sdk/client-secrets-manager';
import { describe, expect, it } from 'vitest';
import type { ReadResult } from '../../../src/core/read-result.ts';
import type { SecretProvider } from '../../../src/providers/provider.ts';
import { codeOf, reveal } from '../../conformance/provider.ts';
import { startFaultProxy } from '../../fakes/fault-proxy.ts';
import { localstack } from '../services/inject.ts';
import { openAccount, openProvider, REGION } from './aws-harness.ts';

async function readOne(provider: SecretProvider, key: string, version?: string) {
  return (await provider.read([version === undefined ? { key } : { key, version }]))[0];
}

function bytesOf(result: ReadResult | undefined): Buffer {
  if (result?.kind !== 'found') throw new Error(`expected a value, got ${codeOf(result)}`);
  return Buffer.from(result.value.reveal());
}

describe('values in LocalStack', () => {
  it('values keep their bytes, as text and as binary', async () => {
    using account = openAccount();
    const values: Record<string, string | Uint8Array> = {
      text: 'line\n',
      odd: '\ufeffa\r\nb\0c\u2028😀 "\\ </script>',
      numbers: '{ "a": 1.10, "b": 123456789012345678901 }',
      large: 'ö'.repeat(32_768),
      binary: Buffer.from(Array.from({ length: 65_536 }, (_, index) => (index * 7) % 256)),
    };
    for (const [name, value] of Object.entries(values)) await account.put(name, value);
    await using provider = await openProvider({}, account.env);
    const batch = await provider.read(Object.keys(values).map((key) => ({ key })));
    for (const [index, [name, value]] of Object.entries(values).entries()) {
      expect([name, bytesOf(batch[index]).equals(Buffer.from(value))]).toEqual([name, true]);
      expect([name, bytesOf(await readOne(provider, name)).equals(Buffer.from(value))]).toEqual([name, true]);
    }
  });

  it('secrets are readable and found below a path even if their names contain an empty segment', async () => {
    using account = openAccount();
    const names = ['team//db', 'team/db', 'team/db/'];
    for (const name of names) await account.put(name, name);
    await using provider = await openProvider({}, account.env);
    expect(await provider.find({ path: 'team', tags: {} })).toEqual(names);
    const batch = await provider.read(names.map((key) => ({ key })));
    expect(batch.map(reveal)).toEqual(names);
    for (const name of names) expect(reveal(await readOne(provider, name))).toBe(name);
  });

  it('secrets are readable by name, ARN, partial ARN, stage and version id', async () => {
    using account = openAccount();
    const first = await account.put('/prod/db', 'old');
    const second = await account.put('/prod/db', 'new');
    await using provider = await openProvider({}, account.env);
    const arn = first.ARN ?? '';
    for (const key of ['/prod/db', arn, arn.slice(0, -7)])
      expect(reveal(await readOne(provider, key))).toBe('new');
    const [current] = await provider.read([{ key: '/prod/db' }]);
    expect(current).toMatchObject({ version: second.VersionId });
    expect(reveal(await readOne(provider, '/prod/db', 'AWSPREVIOUS'))).toBe('old');
    expect(reveal(await readOne(provider, '/prod/db', first.VersionId))).toBe('old');
    const blue = { SecretId: '/prod/db', VersionStage: 'blue', MoveToVersionId: first.VersionId };
    await account.client.send(new UpdateSecretVersionStageCommand(blue));
    expect(reveal(await readOne(provider, '/prod/db', 'blue'))).toBe('old');
    for (const version of ['green', '00000000-0000-4000-8000-000000000000'])
      expect(codeOf(await readOne(provider, '/prod/db', version))).toBe('VERSION_GONE');
  });
});

describe('absence in LocalStack', () => {
  it('distinguishes an absent secret from a scheduled deletion, a secret without a value, and a missing version', async () => {
    using account = openAccount();
    for (const name of ['here', 'scheduled', 'removed']) await account.put(name, 'x');
    await account.client.send(new CreateSecretCommand({ Name: 'empty' }));
    await account.remove('scheduled', 'schedule');
    await account.remove('removed', 'force');
    await using provider = await openProvider({}, account.env);
    const keys = ['here', 'none', 'removed', 'scheduled', 'empty'];
    const expected = ['found', 'absent', 'absent', 'SOURCE_DELETED', 'VERSION_GONE'];
    const batch = await provider.read(keys.map((key) => ({ key })));
    expect(batch.map(codeOf)).toEqual(expected);
    for (const [index, key] of keys.entries())
      expect(codeOf(await readOne(provider, key))).toBe(expected[index]);
    expect(codeOf(await readOne(provider, 'none', 'AWSPREVIOUS'))).toBe('VERSION_GONE');
    expect(await provider.find({ path: '', tags: {} })).not.toContain('scheduled');
  });
});

describe('many secrets in LocalStack', () => {
  it('finds many secrets by path and tags across pages, reads these secrets in batches of 20, and returns their versions', async () => {
    using account = openAccount();
    const names = Array.from({ length: 130 }, (_, index) => `app/k${String(index).padStart(3, '0')}`);
    for (const [index, name] of names.entries())
      await account.put(name, name, { tags: { live: index < 110 ? 'true' : 'no' } });
    await account.put('apple', 'x', { tags: { live: 'true' } });
    const proxy = await startFaultProxy(localstack().address);
    await using provider = await openProvider({ endpoint: proxy.address }, account.env);
    const operations = () =>
      Object.groupBy(
        proxy.requests.map(({ headers }) => String(headers['x-amz-target']).replace('secretsmanager.', '')),
        (operation) => operation,
      );

    expect(await provider.find({ path: 'app', tags: {} })).toEqual(names);
    expect(await provider.find({ path: 'app', tags: { live: 'true' } })).toEqual(names.slice(0, 110));
    const results = await provider.read(names.map((key) => ({ key })));
    expect(results.map(reveal)).toEqual(names);
    expect(operations().BatchGetSecretValue).toHaveLength(7);
    expect(operations().GetSecretValue).toBeUndefined();
    const versions = await provider.versions(names);
    expect(versions).toEqual(
      results.map((result) => {
        const version = result.kind === 'found' ? result.version : '';
        return { kind: 'known', version, createdAt: expect.any(Number), expiresAt: null };
      }),
    );
    await proxy[Symbol.asyncDispose]();
  });
});

const NO_STS = 'LocalStack needs Python 3.12 or newer for its STS';

describe('logins over STS in LocalStack', () => {
  // LocalStack's keys identify the account of a role. A successful read therefore proves that the login assumed the
  // role.
  it('a login assumes a chain of roles that ends in another account', async ({ skip }) => {
    if (!localstack().isComplete) skip(NO_STS);
    using own = openAccount();
    using other = openAccount();
    await own.put('a', 'of own');
    await other.put('a', 'of other');
    const roleIn = ({ account }: typeof own) => `arn:aws:iam::${account}:role/bridge`;
    const auth = { method: 'static', accessKeyId: { env: 'KEY_ID' }, secretAccessKey: { env: 'SECRET_KEY' } };
    for (const [roles, value] of [
      [[], 'of own'],
      [[own], 'of own'],
      [[other], 'of other'],
      [[other, own], 'of own'],
    ] as const) {
      const assumeRole = roles.map((role) => ({
        roleArn: roleIn(role),
        externalId: 'external-1',
        sessionName: 'me',
        tags: { team: 'a' },
      }));
      await using provider = await openProvider({ auth: { ...auth, assumeRole } }, own.env);
      expect(reveal(await readOne(provider, 'a'))).toBe(value);
      expect((await provider.check()).filter(({ error }) => error !== undefined)).toEqual([]);
    }
  });

  it('a login uses a web identity, both from the configuration and from the environment', async ({
    skip,
  }) => {
    if (!localstack().isComplete) skip(NO_STS);
    using account = openAccount();
    await account.put('a', 'x');
    const folder = await mkdtemp(join(tmpdir(), 'secretbridge-aws-'));
    const file = join(folder, 'token');
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    await writeFile(
      file,
      `${part({ alg: 'none' })}.${part({ sub: 'system:serviceaccount:a:b', iss: 'https://x' })}.c2ln`,
    );
    const roleArn = `arn:aws:iam::${account.account}:role/pod`;
    await using configured = await openProvider(
      { auth: { method: 'webIdentity', roleArn, tokenFile: file } },
      {},
    );
    expect(reveal(await readOne(configured, 'a'))).toBe('x');
    const env = { AWS_ROLE_ARN: roleArn, AWS_WEB_IDENTITY_TOKEN_FILE: file };
    await using byDefault = await openProvider({ auth: { method: 'default' } }, env);
    expect(reveal(await readOne(byDefault, 'a'))).toBe('x');
    await rm(folder, { recursive: true });
  });
});

describe('a configured region', () => {
  it('a store fails with CONFIG_INVALID when the configured region differs from the region in an ARN', async () => {
    using account = openAccount();
    const { ARN: arn = '' } = await account.put('a', 'x');
    await using provider = await openProvider({ region: 'us-east-1' }, account.env);
    expect(codeOf(await readOne(provider, arn))).toBe('CONFIG_INVALID');
    expect(arn).toContain(REGION);
  });
});
