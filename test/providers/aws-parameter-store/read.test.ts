import { describe, expect, it } from 'vitest';
import type { ReadResult } from '../../../src/core/read-result.ts';
import { codeOf, reveal } from '../../conformance/provider.ts';
import { AwsError } from '../../fakes/aws-server.ts';
import { createManualTime } from '../../fakes/manual-time.ts';
import { arnOf, openParameters } from './harness.ts';

const refsOf = (names: readonly string[]) => names.map((key) => ({ key }));
const detailOf = (result: ReadResult | undefined) =>
  result?.kind === 'failed' ? result.error.detail : result?.kind;

describe('a value in Parameter Store', () => {
  it('is read with decryption, as text without any change, with its version and time', async () => {
    await using aws = await openParameters();
    const texts = ['line\n', 'a,b,c', '{ "a": 1.10 }', '\ufeffa\r\nb\0c 😀'];
    for (const [index, text] of texts.entries()) aws.parameters.put(`/t/${index}`, text);
    const results = await aws.provider.read(refsOf(texts.map((_, index) => `/t/${index}`)));
    expect(results.map(reveal)).toEqual(texts);
    expect(results[0]).toMatchObject({ version: '1', createdAt: expect.any(Number) });
    expect(aws.server.requests.map(({ input }) => input.WithDecryption)).toEqual([true]);
  });

  it.each([
    ['without a value', { Name: '/a', Version: 1 }],
    ['without a version', { Name: '/a', Value: 'x' }],
    ['with a version that is no number', { Name: '/a', Value: 'x', Version: 'one' }],
    ['with half a surrogate pair', { Name: '/a', Value: '\ud800', Version: 1 }],
    ['with a number as value', { Name: '/a', Value: 1, Version: 1 }],
  ])('is a bad answer %s', async (_, Parameter) => {
    await using aws = await openParameters();
    aws.server.fail({ answer: { Parameters: [Parameter], InvalidParameters: [] } });
    expect(codeOf(await aws.read('/a'))).toBe('BAD_ANSWER');
  });

  it('is a bad answer if it belongs to another parameter, or to another version', async () => {
    await using aws = await openParameters();
    aws.server.fail({ answer: { Parameter: { Name: '/b', Value: 'x', Version: 1 }, Parameters: [] } });
    expect(codeOf(await aws.read('/a'))).toBe('BAD_ANSWER');
    const other = { Name: '/a', Value: 'x', Version: 2 };
    aws.server.fail({ answer: { Parameters: [other], InvalidParameters: [] } });
    expect(codeOf(await aws.read('/a', '1'))).toBe('BAD_ANSWER');
    const foreign = { ...other, ARN: arnOf('/a').replace('123456789012', '999999999999') };
    aws.server.fail({ answer: { Parameters: [foreign], Parameter: foreign, InvalidParameters: [] } });
    expect(codeOf(await aws.read(arnOf('/a')))).toBe('BAD_ANSWER');
  });
});

describe('a key and a version in Parameter Store', () => {
  it('a parameter is readable by its name and its ARN, with and without levels', async () => {
    await using aws = await openParameters();
    for (const name of ['/app/db', 'plain', '/slash']) aws.parameters.put(name, name);
    for (const name of ['/app/db', 'plain', '/slash']) {
      expect(reveal(await aws.read(name))).toBe(name);
      expect(reveal(await aws.read(arnOf(name)))).toBe(name);
    }
    const results = await aws.provider.read(refsOf(['plain', '/plain', 'slash', arnOf('slash'), '/slash']));
    expect(results.map(reveal)).toEqual(['plain', 'plain', '/slash', '/slash', '/slash']);
  });

  it('a parameter is readable by its version number and by a label', async () => {
    await using aws = await openParameters();
    aws.parameters.put('/a', 'first', { label: 'blue' });
    aws.parameters.put('/a', 'second', { label: 'green' });
    const versions = [undefined, '1', '2', 'blue', 'green'] as const;
    const refs = versions.map((version) => (version === undefined ? { key: '/a' } : { key: '/a', version }));
    const results = await aws.provider.read(refs);
    expect(results.map(reveal)).toEqual(['second', 'first', 'second', 'first', 'second']);
    expect(results.map((result) => (result.kind === 'found' ? result.version : ''))).toEqual([
      '2',
      '1',
      '2',
      '1',
      '2',
    ]);
    aws.parameters.put('/a', 'third', { label: 'blue' });
    expect(reveal(await aws.read('/a', 'blue'))).toBe('third');
  });

  it('a missing version is gone and not absent, whether the parameter exists or not', async () => {
    await using aws = await openParameters();
    aws.parameters.put('/a', 'x');
    const results = await aws.provider.read([
      { key: '/a', version: '7' },
      { key: '/a', version: 'blue' },
      { key: '/none', version: '1' },
    ]);
    expect(results.map(codeOf)).toEqual(['VERSION_GONE', 'VERSION_GONE', 'VERSION_GONE']);
    expect(aws.server.count('GetParameter')).toBe(0);
  });

  it('a parameter that was deleted and created again has version 1 again, and its new value', async () => {
    await using aws = await openParameters();
    aws.parameters.put('/a', 'old');
    expect(reveal(await aws.read('/a'))).toBe('old');
    aws.parameters.remove('/a');
    aws.parameters.put('/a', 'new');
    // So a list of versions would not show the change.
    expect(await aws.provider.versions(['/a'])).toEqual([{ kind: 'unknown' }]);
    expect(await aws.read('/a')).toMatchObject({ version: '1' });
    expect(reveal(await aws.read('/a'))).toBe('new');
  });

  it.each([
    [{ key: '/a', object: 'certificate' as const }, 'only supported for Azure'],
    [{ key: '/a:3' }, 'as `version`'],
    [{ key: 'a/b' }, '`/` at its start'],
    [{ key: '/aws/reference/secretsmanager/db' }, '`aws-secrets-manager`'],
    [{ key: arnOf('/a', 'us-east-1') }, "the store's own region"],
    [{ key: '/a', version: '0' }, 'a version number'],
    [{ key: '/a', version: 'a b' }, 'a version number'],
  ])('a reference that cannot exist is rejected before a request: %j', async (ref, message) => {
    await using aws = await openParameters();
    const [result] = await aws.provider.read([ref]);
    expect(codeOf(result)).toBe('CONFIG_INVALID');
    expect(detailOf(result)).toContain(message);
    expect(aws.sent()).toEqual([]);
  });
});

describe('a batch in Parameter Store', () => {
  const names = Array.from({ length: 45 }, (_, index) => `/k/${index}`);

  it('holds ten parameters, and no version twice', async () => {
    await using aws = await openParameters();
    for (const name of names) aws.parameters.put(name, name);
    const results = await aws.provider.read(refsOf([...names, ...names, '/k/1']));
    expect(results.map(reveal)).toEqual([...names, ...names, '/k/1']);
    expect(aws.server.requests.map(({ input }) => (input.Names as unknown[]).length)).toEqual([
      10, 10, 10, 10, 5,
    ]);
    await aws.provider.read([{ key: '/k/1' }, { key: '/k/1', version: '1' }]);
    expect(aws.server.requests.slice(5).map(({ input }) => input.Names)).toEqual([['/k/1'], ['/k/1:1']]);
  });

  it('gives each invalid parameter its own result, and the others their values', async () => {
    await using aws = await openParameters();
    for (const name of ['/a', '/c']) aws.parameters.put(name, name);
    const results = await aws.provider.read([
      ...refsOf(['/a', '/none', '/c', '/other']),
      { key: '/d', version: 'x' },
    ]);
    expect(results.map(codeOf)).toEqual(['found', 'absent', 'found', 'absent', 'VERSION_GONE']);
    expect(aws.sent().sort()).toEqual(['GetParameter', 'GetParameter', 'GetParameters']);
  });

  it('is read again one by one if one parameter makes the whole request fail, and leaves this one out next time', async () => {
    await using aws = await openParameters();
    const keys = ['/ok', '/denied', '/kms', '/no-key', '/also-ok'];
    for (const name of keys) aws.parameters.put(name, name);
    const iam = 'User: x is not authorized to perform: ssm:GetParameters on resource: parameter/my-kms';
    const kms =
      'The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.';
    aws.server.failKey('/denied', new AwsError('AccessDeniedException', 400, iam));
    aws.server.failKey('/kms', new AwsError('AccessDeniedException', 400, kms));
    aws.server.failKey('/no-key', new AwsError('InvalidKeyId'));
    const expected = ['found', 'ACCESS_DENIED', 'ACCESS_DENIED', 'ACCESS_DENIED', 'found'];
    const results = await aws.provider.read(refsOf(keys));
    expect(results.map(codeOf)).toEqual(expected);
    expect(results.map(detailOf)).toEqual([
      'found',
      'asked in region eu-west-1',
      ...Array(2).fill('its KMS key does not allow us to decrypt it'),
      'found',
    ]);
    expect(aws.sent()).toHaveLength(6);
    expect((await aws.provider.read(refsOf(keys))).map(codeOf)).toEqual(expected);
    expect(aws.server.requests.map(({ input }) => input.Names)).toEqual(
      expect.arrayContaining([['/ok', '/also-ok'], ['/denied'], ['/kms'], ['/no-key']]),
    );
    expect(aws.sent()).toHaveLength(4);
    aws.server.failKey('/denied', undefined);
    expect(codeOf(await aws.read('/denied'))).toBe('found');
    aws.sent();
    await aws.provider.read(refsOf(keys));
    expect(aws.server.requests.map(({ input }) => input.Names)).toContainEqual([
      '/ok',
      '/denied',
      '/also-ok',
    ]);
  });

  it('is sent again an hour after a parameter made it fail', async () => {
    const clock = createManualTime();
    await using aws = await openParameters({ deps: { clock } });
    for (const name of ['/a', '/b']) aws.parameters.put(name, name);
    aws.server.failKey('/b', new AwsError('AccessDeniedException'));
    await aws.provider.read(refsOf(['/a', '/b']));
    aws.sent();
    clock.set(clock.now() + 3_600_000);
    await aws.provider.read(refsOf(['/a', '/b']));
    expect(aws.server.requests[0]?.input.Names).toEqual(['/a', '/b']);
  });

  it.each([
    ['ThrottlingException', 400, 'THROTTLED'],
    ['InternalServerError', 500, 'STORE_UNAVAILABLE'],
    ['ExpiredTokenException', 400, 'AUTH_FAILED'],
    ['SomethingNew', 400, 'BAD_ANSWER'],
  ])('fails whole with %s, and is not divided', async (type, status, code) => {
    await using aws = await openParameters();
    for (const name of ['/a', '/b']) aws.parameters.put(name, name);
    aws.server.fail(new AwsError(type, status));
    const results = await aws.provider.read(refsOf(['/a', '/b']));
    expect(results.map(codeOf)).toEqual([code, code]);
    expect(new Set(aws.server.requests.map(({ input }) => (input.Names as unknown[]).length))).toEqual(
      new Set([2]),
    );
    expect(results[1]).toMatchObject({ error: { subject: 'store test-store, key /b' } });
  });

  it('is read one by one if AWS rejects one of its keys, which then has a wrong key or version', async () => {
    await using aws = await openParameters();
    for (const name of ['/a', '/b']) aws.parameters.put(name, name);
    aws.server.failKey('/b', new AwsError('ValidationException'));
    const results = await aws.provider.read(refsOf(['/a', '/b']));
    expect(results.map(codeOf)).toEqual(['found', 'CONFIG_INVALID']);
  });
});

describe('proof of absence in Parameter Store', () => {
  it('reports a parameter as absent only after both operations report it as missing', async () => {
    await using aws = await openParameters();
    const absent = { kind: 'absent', place: { name: 'region eu-west-1', setting: 'region' } };
    expect(await aws.read('/none')).toEqual(absent);
    expect(aws.sent()).toEqual(['GetParameters', 'GetParameter']);
  });

  it('does not report a missing parameter as absent without the permission to confirm it', async () => {
    await using aws = await openParameters();
    aws.server.fail(new AwsError('AccessDeniedException'), /^GetParameter$/);
    expect(await aws.read('/none')).toMatchObject({
      error: { code: 'ACCESS_DENIED', detail: expect.stringContaining('allow ssm:GetParameter') },
    });
  });

  it.each([
    ['ThrottlingException', 400, 'THROTTLED'],
    ['InternalServerError', 500, 'STORE_UNAVAILABLE'],
    ['ParameterNotFound', 500, 'STORE_UNAVAILABLE'],
    ['ParameterVersionNotFound', 400, 'BAD_ANSWER'],
    ['SomethingNew', 400, 'BAD_ANSWER'],
  ])(
    'does not report a missing parameter as absent if GetParameter fails with %s, status %i',
    async (type, status, code) => {
      await using aws = await openParameters();
      aws.server.fail(new AwsError(type, status), /^GetParameter$/);
      expect(codeOf(await aws.read('/none'))).toBe(code);
    },
  );

  it.each(['hang', 'reset', 'cut', 'html', 'html 403'] as const)(
    'does not report a missing parameter as absent if GetParameter has the fault %s',
    async (fault) => {
      await using aws = await openParameters();
      aws.server.fail(fault, /^GetParameter$/);
      expect((await aws.read('/none'))?.kind).toBe('failed');
    },
  );

  it('returns the value of a parameter that was created between the two requests', async () => {
    await using aws = await openParameters();
    aws.parameters.put('/a', 'x');
    aws.server.fail({ answer: { Parameters: [], InvalidParameters: ['/a'] } }, /^GetParameters$/);
    expect(reveal(await aws.read('/a'))).toBe('x');
  });
});

describe('the checks of Parameter Store', () => {
  const names = async (aws: Awaited<ReturnType<typeof openParameters>>) =>
    (await aws.provider.check()).map(({ name, error }) => [name, error?.code]);

  it('log in with one call that reads nothing, and need no permission for it', async () => {
    await using aws = await openParameters();
    const passed = [
      ['credentials', undefined],
      ['reach', undefined],
      ['login', undefined],
    ];
    expect(await names(aws)).toEqual(passed);
    expect(aws.sent()).toEqual(['GetParameters']);
    aws.server.fail(new AwsError('AccessDeniedException'));
    expect(await names(aws)).toEqual(passed);
    await aws.provider.probe();
  });

  it('stop at the first failure', async () => {
    await using noKey = await openParameters({ deps: { env: { KEY_ID: '' } } });
    expect(await names(noKey)).toEqual([['credentials', 'CREDENTIAL_MISSING']]);
    await using wrongKey = await openParameters({ deps: { env: { KEY_ID: 'AKIAWRONG' } } });
    expect((await names(wrongKey)).at(-1)).toEqual(['login', 'AUTH_FAILED']);
    await using down = await openParameters();
    down.server.fail('reset');
    expect((await names(down)).at(-1)).toEqual(['reach', 'STORE_UNAVAILABLE']);
    await expect(down.provider.probe()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it('report a service without Parameter Store, and a wrong clock', async () => {
    await using aws = await openParameters();
    aws.server.skewMs = -120_000;
    aws.server.fail(new AwsError('UnknownOperationException'));
    expect(await names(aws)).toEqual([
      ['credentials', undefined],
      ['clock', 'CLOCK_SKEWED'],
      ['reach', 'CONFIG_INVALID'],
    ]);
  });
});
