import { describe, expect, it } from 'vitest';
import type { SecretProvider } from '../../../src/providers/provider.ts';
import { codeOf, reveal } from '../../conformance/provider.ts';
import { startFaultProxy } from '../../fakes/fault-proxy.ts';
import { localstack } from '../services/inject.ts';
import { openAccount, REGION } from './aws-harness.ts';
import { openParameterProvider, openParameters } from './aws-parameters.ts';

async function readOne(provider: SecretProvider, key: string, version?: string) {
  return (await provider.read([version === undefined ? { key } : { key, version }]))[0];
}

describe('parameters in LocalStack', () => {
  it('encrypted parameters are decrypted, and keep their bytes', async () => {
    using account = openAccount();
    using parameters = openParameters(account.account);
    const values: Record<string, string> = {
      text: 'line\n',
      odd: '\ufeffa\r\nb\u2028😀 "\\ </script>',
      numbers: '{ "a": 1.10, "b": 123456789012345678901 }',
      list: 'a,b,c',
      large: 'ö'.repeat(2_000),
    };
    for (const [name, value] of Object.entries(values)) await parameters.put(`/values/${name}`, value);
    await using provider = await openParameterProvider({}, account.env);
    const keys = Object.keys(values).map((name) => ({ key: `/values/${name}` }));
    expect((await provider.read(keys)).map(reveal)).toEqual(Object.values(values));
  });

  it('parameters are readable by name, ARN, version and label', async () => {
    using account = openAccount();
    using parameters = openParameters(account.account);
    for (const name of ['/prod/db', 'plain']) {
      await parameters.put(name, `${name} old`);
      await parameters.put(name, `${name} new`);
      await parameters.label(name, 1, 'blue');
    }
    await using provider = await openParameterProvider({}, account.env);
    for (const name of ['/prod/db', 'plain']) {
      const arn = `arn:aws:ssm:${REGION}:${account.account}:parameter/${name.replace(/^\//, '')}`;
      expect(await readOne(provider, name)).toMatchObject({ version: '2', createdAt: expect.any(Number) });
      for (const key of [name, arn]) expect(reveal(await readOne(provider, key))).toBe(`${name} new`);
      for (const version of ['1', 'blue'])
        expect(reveal(await readOne(provider, name, version))).toBe(`${name} old`);
      for (const version of ['9', 'green'])
        expect(codeOf(await readOne(provider, name, version))).toBe('VERSION_GONE');
    }
  });

  it('each missing parameter of a batch is absent by itself, and the others are found', async () => {
    using account = openAccount();
    using parameters = openParameters(account.account);
    for (const name of ['/a/b', '/gone', 'plain']) await parameters.put(name, name);
    await parameters.remove('/gone');
    await using provider = await openParameterProvider({}, account.env);
    const keys = ['/a/b', '/gone', '/a/none', 'plain', 'none'].map((key) => ({ key }));
    expect((await provider.read(keys)).map(codeOf)).toEqual(['found', 'absent', 'absent', 'found', 'absent']);
  });

  it('finds many parameters by path and tags across pages, and reads them in batches of ten', async () => {
    using account = openAccount();
    using parameters = openParameters(account.account);
    const names = Array.from({ length: 65 }, (_, index) => `/app/k${String(index).padStart(3, '0')}`);
    for (const [index, name] of names.entries())
      await parameters.put(name, name, { live: index < 55 ? 'true' : 'no' });
    await parameters.put('/apple', 'x', { live: 'true' });
    const proxy = await startFaultProxy(localstack().address);
    await using provider = await openParameterProvider({ endpoint: proxy.address }, account.env);
    const operations = () =>
      Object.groupBy(
        proxy.requests.map(({ headers }) => String(headers['x-amz-target']).replace('AmazonSSM.', '')),
        (operation) => operation,
      );

    expect(await provider.find({ path: '/app', tags: {} })).toEqual(names);
    expect(await provider.find({ path: '/app', tags: { live: 'true' } })).toEqual(names.slice(0, 55));
    expect((await provider.read(names.map((key) => ({ key })))).map(reveal)).toEqual(names);
    expect(operations().GetParameters).toHaveLength(7);
    expect(operations().DescribeParameters?.length).toBeGreaterThan(1);
    expect(operations().GetParameter).toBeUndefined();
    await proxy[Symbol.asyncDispose]();
  });

  it('logs in with an assumed role of another account', async ({ skip }) => {
    if (!localstack().isComplete) skip('LocalStack needs Python 3.12 or newer for its STS');
    using own = openAccount();
    using other = openAccount();
    using parameters = openParameters(other.account);
    await parameters.put('/a', 'of other');
    const auth = {
      method: 'static',
      accessKeyId: { env: 'KEY_ID' },
      secretAccessKey: { env: 'SECRET_KEY' },
      assumeRole: [{ roleArn: `arn:aws:iam::${other.account}:role/bridge` }],
    };
    await using provider = await openParameterProvider({ auth }, own.env);
    expect(reveal(await readOne(provider, '/a'))).toBe('of other');
    expect((await provider.check()).filter(({ error }) => error !== undefined)).toEqual([]);
  });
});
