import { describe, expect, it } from 'vitest';
import type { ReadResult } from '../../../src/core/read-result.ts';
import { createBatchState } from '../../../src/providers/aws-secrets-manager/batch.ts';
import { codeOf, reveal } from '../../conformance/provider.ts';
import { AwsError } from '../../fakes/aws-server.ts';
import { createManualTime } from '../../fakes/manual-time.ts';
import { openAws } from './harness.ts';

function bytesOf(result: ReadResult | undefined): Buffer {
  if (result?.kind !== 'found') throw new Error(`expected a value, got ${codeOf(result)}`);
  return Buffer.from(result.value.reveal());
}

describe('a value in AWS Secrets Manager', () => {
  it.each([
    ['empty', ''],
    ['text with a final newline', 'line\n'],
    ['text with a BOM, CRLF, NUL and emoji', '\ufeffa\r\nb\0c\u2028😀'],
    ['numbers with their source text', '{ "a": 1.10, "b": 123456789012345678901, "c": 1e5 }'],
    ['64 KiB of text', 'ö'.repeat(32_768)],
  ])('keeps the bytes of a value, in a single read and in a batch: %s', async (_, value) => {
    await using aws = await openAws();
    aws.server.store.put('a', value);
    aws.server.store.put('b', value);
    expect(bytesOf(await aws.read('a')).equals(Buffer.from(value))).toBe(true);
    for (const result of await aws.provider.read([{ key: 'a' }, { key: 'b' }]))
      expect(bytesOf(result).equals(Buffer.from(value))).toBe(true);
  });

  it('reads binary values', async () => {
    await using aws = await openAws();
    const value = Buffer.from(Array.from({ length: 65_536 }, (_, index) => (index * 7) % 256));
    aws.server.store.put('a', value);
    aws.server.store.put('b', Buffer.alloc(0));
    const results = await aws.provider.read([{ key: 'a' }, { key: 'b' }]);
    expect(bytesOf(results[0]).equals(value)).toBe(true);
    expect(bytesOf(results[1]).byteLength).toBe(0);
    expect(bytesOf(await aws.read('a')).equals(value)).toBe(true);
  });

  it('returns the version ID and the creation time of a value', async () => {
    await using aws = await openAws();
    const secret = aws.server.store.put('a', '1');
    const result = await aws.read('a');
    expect(result).toMatchObject({ kind: 'found', version: secret.versions[0]?.id });
    const createdAt = result?.kind === 'found' ? (result.createdAt ?? 0) : 0;
    expect(Math.abs(createdAt - Date.now())).toBeLessThan(60_000);
  });
});

describe('a key in AWS Secrets Manager', () => {
  it.each(['team//db', '/prod/', '//db', 'a/'])(
    'reads the key %s, because AWS allows `/` anywhere in a name',
    async (key) => {
      await using aws = await openAws();
      const { arn } = aws.server.store.put(key, 'x');
      aws.server.store.put('team/db', 'y');
      const keys = [key, arn, arn.slice(0, -7)];
      for (const one of keys) expect(reveal(await aws.read(one))).toBe('x');
      const results = await aws.provider.read([...keys, 'team/db'].map((one) => ({ key: one })));
      expect(results.map(reveal)).toEqual(['x', 'x', 'x', 'y']);
    },
  );

  it('reads a secret by its name, its ARN, or its ARN without the six characters that AWS appends', async () => {
    await using aws = await openAws();
    const { arn } = aws.server.store.put('/prod/db', 'x');
    const keys = ['/prod/db', arn, arn.slice(0, -7)];
    for (const key of keys) expect(reveal(await aws.read(key))).toBe('x');
    const results = await aws.provider.read(keys.map((key) => ({ key })));
    expect(results.map(reveal)).toEqual(['x', 'x', 'x']);
  });

  it('does not confuse the secret `app` with a secret whose name looks like `app` with the suffix of an ARN', async () => {
    await using aws = await openAws();
    const { store } = aws.server;
    const short = store.put('app', 'of app', { suffix: 'abcdef' });
    const long = store.put('app-abcdef', 'of app-abcdef');
    const keys = ['app', 'app-abcdef', short.arn, long.arn, long.arn.slice(0, -7)];
    const results = await aws.provider.read(keys.map((key) => ({ key })));
    // The last key is a partial ARN of `app-abcdef`, but also the full ARN of `app`. AWS prefers the full ARN.
    expect(results.map(reveal)).toEqual(['of app', 'of app-abcdef', 'of app', 'of app-abcdef', 'of app']);
  });

  it.each([
    'arn:aws:secretsmanager:us-east-1:123456789012:secret:a-abcdef',
    'arn:aws:ssm:eu-west-1:123456789012:parameter/a',
    'arn:aws:secretsmanager:eu-west-1:123456789012:secret:a/../b',
    'arn:aws:secretsmanager:eu-west-1:123:secret:a',
    'arn:',
    `${'a'.repeat(513)}`,
    'a b',
    'ä',
    'a\n',
  ])('rejects the key %j before it sends a request', async (key) => {
    await using aws = await openAws();
    expect(codeOf(await aws.read(key))).toBe('CONFIG_INVALID');
    expect(aws.sent()).toEqual([]);
  });

  it('rejects a source that has the Azure field `object`', async () => {
    await using aws = await openAws();
    const [result] = await aws.provider.read([{ key: 'a', object: 'certificate' }]);
    expect(codeOf(result)).toBe('CONFIG_INVALID');
  });
});

describe('a version in AWS Secrets Manager', () => {
  it('reads a version by its stage label or by its ID', async () => {
    await using aws = await openAws();
    const { store } = aws.server;
    store.put('a', 'old');
    const { versions } = store.put('a', 'new');
    store.put('a', 'next', { stages: ['AWSPENDING'] });
    store.put('a', 'blue', { stages: ['blue/green 1'], versionId: 'release-2026-11-25-of-the-blue-team' });
    const [oldId = '', newId = ''] = versions.map(({ id }) => id);
    const versionNames = ['AWSPREVIOUS', 'AWSCURRENT', 'AWSPENDING', 'blue/green 1', oldId, newId];
    for (const [index, value] of ['old', 'new', 'next', 'blue', 'old', 'new'].entries())
      expect(reveal(await aws.read('a', versionNames[index]))).toBe(value);
    // A version that a read has returned can be requested, even if it is not a UUID.
    expect(reveal(await aws.read('a', 'release-2026-11-25-of-the-blue-team'))).toBe('blue');
    expect(reveal(await aws.read('a'))).toBe('new');
  });

  it('reports a version that does not exist as VERSION_GONE, even if the secret does not exist either', async () => {
    await using aws = await openAws();
    aws.server.store.put('a', '1');
    const id = '00000000-0000-4000-8000-000000000000';
    for (const version of ['AWSPREVIOUS', id, 'x'.repeat(40)])
      expect([version, codeOf(await aws.read('a', version))]).toEqual([version, 'VERSION_GONE']);
    expect(codeOf(await aws.read('none', 'AWSPREVIOUS'))).toBe('VERSION_GONE');
  });

  it.each(['', 'x'.repeat(257), 'a\nb'])(
    'rejects the version %j, because no AWS version can have this name',
    async (version) => {
      await using aws = await openAws();
      expect(codeOf(await aws.read('a', version))).toBe('CONFIG_INVALID');
      expect(aws.sent()).toEqual([]);
    },
  );
});

describe('a batch read in AWS Secrets Manager', () => {
  const names = Array.from({ length: 45 }, (_, index) => `k/${index}`);

  it('reads at most twenty secrets in a batch, and reads no version twice', async () => {
    await using aws = await openAws();
    for (const name of names) aws.server.store.put(name, name);
    const refs = [...names, ...names, 'k/1'].map((key) => ({ key }));
    const results = await aws.provider.read([
      ...refs,
      { key: 'k/2', version: 'AWSCURRENT' },
      { key: 'k/2', version: 'AWSCURRENT' },
    ]);
    expect(results.map(reveal)).toEqual([...names, ...names, 'k/1', 'k/2', 'k/2']);
    expect(aws.sent().sort()).toEqual([...Array(3).fill('BatchGetSecretValue'), 'GetSecretValue'].sort());
  });

  it('reads a secret with a single read if a batch would contain only this secret', async () => {
    await using aws = await openAws();
    aws.server.store.put('a', '1');
    await aws.read('a');
    expect(aws.sent()).toEqual(['GetSecretValue']);
  });

  it('reads a batch that AWS returns in several pages', async () => {
    await using aws = await openAws();
    aws.server.batchPage = 7;
    for (const name of names) aws.server.store.put(name, name);
    const results = await aws.provider.read([...names, 'none'].map((key) => ({ key })));
    expect(results.slice(0, -1).map(reveal)).toEqual(names);
    expect(codeOf(results.at(-1))).toBe('absent');
    expect(aws.server.count('GetSecretValue')).toBe(0);
  });

  it('reports a separate error for each secret of a batch', async () => {
    await using aws = await openAws();
    const { store } = aws.server;
    for (const name of ['ok', 'denied', 'kms', 'gone', 'slow', 'broken', 'odd']) store.put(name, 'x');
    store.put('no value', undefined);
    store.put('empty', undefined);
    store.remove('gone', 'schedule');
    aws.server.failKey('denied', new AwsError('AccessDeniedException'));
    aws.server.failKey('kms', new AwsError('DecryptionFailure'));
    aws.server.failKey('slow', new AwsError('ThrottlingException'));
    aws.server.failKey('broken', new AwsError('InternalServiceError', 500));
    aws.server.failKey('odd', new AwsError('SomethingNew'));
    const keys = ['ok', 'denied', 'kms', 'gone', 'slow', 'broken', 'odd', 'none', 'empty'];
    const results = await aws.provider.read(keys.map((key) => ({ key })));
    expect(results.map(codeOf)).toEqual([
      'found',
      'ACCESS_DENIED',
      'ACCESS_DENIED',
      'SOURCE_DELETED',
      'THROTTLED',
      'STORE_UNAVAILABLE',
      'BAD_ANSWER',
      'absent',
      'VERSION_GONE',
    ]);
    expect(results[2]).toMatchObject({
      error: { subject: 'store test-store, key kms', detail: expect.stringContaining('KMS') },
    });
    expect(aws.server.count('BatchGetSecretValue')).toBe(1);
    expect(aws.server.count('GetSecretValue')).toBe(1); // This single read repeats the read of the denied key.
    // A single read of each key returns the same result as the batch.
    for (const [index, key] of keys.entries())
      expect(codeOf(await aws.read(key))).toBe(codeOf(results[index]));
  });

  it('distinguishes a denial by the KMS key from a denial by a policy, in a batch and in a single read', async () => {
    await using aws = await openAws();
    const say = (message: string) => new AwsError('AccessDeniedException', 400, message);
    const denied = 'User: x is not authorized to perform: secretsmanager:GetSecretValue on resource: my-kms';
    const messages = {
      'my-kms': denied,
      'by-key': 'Access to KMS is not allowed',
      'by-iam': denied.replace('secretsmanager:GetSecretValue', 'kms:Decrypt'),
    };
    for (const [name, message] of Object.entries(messages)) {
      aws.server.store.put(name, 'x');
      aws.server.failKey(name, say(message));
    }
    const keys = Object.keys(messages).map((key) => ({ key }));
    const alone = await Promise.all(keys.map(({ key }) => aws.read(key)));
    for (const results of [await aws.provider.read(keys), alone]) {
      expect(results.map(codeOf)).toEqual(Array(3).fill('ACCESS_DENIED'));
      const details = results.map((result) => (result?.kind === 'failed' ? result.error.detail : 'found'));
      expect(details).toEqual([
        'asked in region eu-west-1',
        ...Array(2).fill('its KMS key does not allow us to decrypt it'),
      ]);
    }
  });

  it('reads a secret with a single read if its policy allows only reads by stage', async () => {
    await using aws = await openAws();
    for (const name of ['a', 'b', 'c']) aws.server.store.put(name, name);
    aws.server.failKey('b', new AwsError('AccessDeniedException'), /^BatchGetSecretValue item$/);
    const results = await aws.provider.read(['a', 'b', 'c'].map((key) => ({ key })));
    expect(results.map(reveal)).toEqual(['a', 'b', 'c']);
    expect(aws.server.requests.map(({ operation, input }) => [operation, input.VersionStage])).toEqual([
      ['BatchGetSecretValue', undefined],
      ['GetSecretValue', 'AWSCURRENT'],
    ]);
  });

  it('leaves a key out of batches if only a single read can return it, but not if no read can return it', async () => {
    await using aws = await openAws();
    const keys = ['alone', 'denied', 'a', 'b'].map((key) => ({ key }));
    for (const { key } of keys) aws.server.store.put(key, key);
    aws.server.failKey('alone', new AwsError('AccessDeniedException'), /^BatchGetSecretValue item$/);
    aws.server.failKey('denied', new AwsError('AccessDeniedException'));
    await aws.provider.read(keys);
    const requestCount = aws.server.requests.length;
    expect((await aws.provider.read(keys)).map(codeOf)).toEqual(['found', 'ACCESS_DENIED', 'found', 'found']);
    const idsOf = ({ SecretIdList, SecretId }: Readonly<Record<string, unknown>>) => SecretIdList ?? SecretId;
    const ids = aws.server.requests.slice(requestCount).map(({ input }) => idsOf(input));
    expect(ids).toEqual(expect.arrayContaining([['denied', 'a', 'b'], 'alone', 'denied']));
    expect(ids).toHaveLength(3);
  });

  it('sends no batch request if all keys need single reads', async () => {
    await using aws = await openAws();
    const keys = Array.from({ length: 20 }, (_, index) => `k/${index}`);
    for (const key of keys) {
      aws.server.store.put(key, key);
      aws.server.failKey(key, new AwsError('AccessDeniedException'), /^BatchGetSecretValue item$/);
    }
    const refs = keys.map((key) => ({ key }));
    await aws.provider.read(refs);
    expect(aws.sent()).toHaveLength(21);
    await aws.provider.read(refs);
    expect(aws.sent()).toEqual(keys.map(() => 'GetSecretValue'));
  });

  it('puts a key into batches again an hour after it was left out, and remembers at most 10,000 left-out keys', () => {
    const clock = createManualTime();
    const state = createBatchState(clock);
    state.readSingly('a');
    expect([state.isReadSingly('a'), state.isReadSingly('b')]).toEqual([true, false]);
    clock.set(clock.now() + 3_600_000);
    expect(state.isReadSingly('a')).toBe(false);
    for (let index = 0; index <= 10_000; index += 1) state.readSingly(`k/${index}`);
    expect([state.isReadSingly('k/0'), state.isReadSingly('k/1'), state.isReadSingly('k/10000')]).toEqual([
      false,
      true,
      true,
    ]);
  });

  it('uses single reads after a batch request was denied', async () => {
    await using aws = await openAws();
    for (const name of names) aws.server.store.put(name, name);
    aws.server.fail(new AwsError('AccessDeniedException'), /^BatchGetSecretValue$/);
    const refs = names.slice(0, 20).map((key) => ({ key }));
    expect((await aws.provider.read(refs)).map(codeOf)).toEqual(refs.map(() => 'found'));
    expect(aws.sent().filter((operation) => operation === 'BatchGetSecretValue')).toHaveLength(1);
    await aws.provider.read(refs);
    expect(new Set(aws.sent())).toEqual(new Set(['GetSecretValue']));
    const check = (await aws.provider.check()).find(({ name }) => name.startsWith('read in batches'));
    expect(check).toEqual({
      name: expect.stringContaining('secretsmanager:BatchGetSecretValue'),
      saves: 'batch',
    });
  });

  it.each(['UnknownOperationException', 'UnknownOperation'])(
    'uses single reads if the service does not have the batch operation (%s)',
    async (type) => {
      await using aws = await openAws();
      for (const name of names) aws.server.store.put(name, name);
      aws.server.fail(new AwsError(type), /^(BatchGetSecretValue|ListSecrets)$/);
      const refs = names.slice(0, 20).map((key) => ({ key }));
      expect((await aws.provider.read(refs)).map(codeOf)).toEqual(refs.map(() => 'found'));
      expect(await aws.provider.check()).toEqual([
        { name: 'credentials' },
        { name: 'reach' },
        { name: 'login' },
        { name: expect.stringMatching(/^read in batches: this service does not have the operation/) },
        { name: expect.stringMatching(/^list: this service does not have the operation/) },
      ]);
    },
  );

  it('uses single reads if one bad key makes the whole batch request fail', async () => {
    await using aws = await openAws();
    for (const name of ['a', 'b']) aws.server.store.put(name, name);
    aws.server.fail(new AwsError('InvalidParameterException'), /^BatchGetSecretValue$/);
    aws.server.failKey('b', new AwsError('InvalidParameterException'));
    const results = await aws.provider.read([{ key: 'a' }, { key: 'b' }]);
    expect(results.map(codeOf)).toEqual(['found', 'CONFIG_INVALID']);
    aws.server.fail(undefined);
    aws.sent();
    await aws.provider.read([{ key: 'a' }, { key: 'b' }]);
    expect(aws.sent()[0]).toBe('BatchGetSecretValue'); // The next read sends a batch request again.
  });
});
