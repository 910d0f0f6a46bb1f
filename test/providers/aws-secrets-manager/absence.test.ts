import { describe, expect, it } from 'vitest';
import { codeOf } from '../../conformance/provider.ts';
import { AwsError } from '../../fakes/aws-server.ts';
import { FAULTS } from '../../fakes/fault-proxy.ts';
import { openAws } from './harness.ts';

describe('proof of absence in AWS Secrets Manager', () => {
  it('reports a secret as absent only after both the read and DescribeSecret report the secret as missing', async () => {
    await using aws = await openAws();
    const absent = { kind: 'absent', place: { name: 'region eu-west-1', setting: 'region' } };
    expect(await aws.read('none')).toEqual(absent);
    expect(aws.sent()).toEqual(['GetSecretValue', 'DescribeSecret']);
    expect(await aws.provider.read([{ key: 'none' }, { key: 'other' }])).toEqual([absent, absent]);
    expect(aws.sent()).toEqual(['BatchGetSecretValue', 'DescribeSecret', 'DescribeSecret']);
  });

  it('does not report a missing secret as absent if DescribeSecret is denied', async () => {
    await using aws = await openAws();
    aws.server.fail(new AwsError('AccessDeniedException'), /^DescribeSecret$/);
    const result = await aws.read('none');
    expect(result).toMatchObject({
      error: { code: 'ACCESS_DENIED', detail: expect.stringContaining('DescribeSecret') },
    });
    aws.server.store.put('gone', 'x');
    aws.server.store.remove('gone', 'schedule');
    expect(codeOf(await aws.read('gone'))).toBe('ACCESS_DENIED');
  });

  it.each([
    'ThrottlingException',
    'InternalServiceError',
    'ExpiredTokenException',
    'InvalidRequestException',
    'SomethingNew',
  ])('does not report a missing secret as absent if DescribeSecret fails with %s', async (type) => {
    await using aws = await openAws();
    aws.server.fail(new AwsError(type), /^DescribeSecret$/);
    for (const result of [
      await aws.read('none'),
      ...(await aws.provider.read([{ key: 'none' }, { key: 'b' }])),
    ])
      expect(result?.kind).toBe('failed');
  });

  it.each(['hang', 'reset', 'cut', 'html', 'html 403'] as const)(
    'does not report a missing secret as absent if the call of DescribeSecret has the fault %s',
    async (fault) => {
      await using aws = await openAws();
      aws.server.fail(fault, /^DescribeSecret$/);
      expect((await aws.read('none'))?.kind).toBe('failed');
    },
  );

  it('does not report a secret as absent after a 404 without an AWS error type', async () => {
    await using aws = await openAws();
    for (const fault of ['wrong mount', 'not found, in HTML'] as const) {
      aws.proxy.set(fault);
      expect(codeOf(await aws.read('none'))).toBe('BAD_ANSWER');
    }
  });

  it.each(FAULTS)(
    'never reports a secret as absent after the fault "%s", in a single read or in a batch',
    async (fault) => {
      await using aws = await openAws();
      aws.server.store.put('a', 'x');
      aws.proxy.set(fault);
      const results = await aws.provider.read([
        { key: 'a' },
        { key: 'none' },
        { key: 'a', version: 'AWSPREVIOUS' },
      ]);
      expect(results.map(({ kind }) => kind)).toEqual(['failed', 'failed', 'failed']);
    },
  );

  it('reports every version of a secret as deleted, and not as absent, if the secret is scheduled for deletion', async () => {
    await using aws = await openAws();
    const { versions } = aws.server.store.put('a', '1');
    aws.server.store.remove('a', 'schedule');
    for (const version of [undefined, 'AWSCURRENT', versions[0]?.id])
      expect(codeOf(await aws.read('a', version))).toBe('SOURCE_DELETED');
    expect(await aws.provider.find({ path: '', tags: {} })).toEqual([]);
    expect(await aws.provider.versions(['a'])).toEqual([{ kind: 'unknown' }]);
    expect(await aws.provider.versions(['a', 'b', 'c'])).toEqual(Array(3).fill({ kind: 'unknown' }));
    aws.server.store.remove('a', 'force');
    expect(codeOf(await aws.read('a'))).toBe('absent');
  });

  it('reports a secret without a value as VERSION_GONE, and not as absent', async () => {
    await using aws = await openAws();
    aws.server.store.put('a', undefined);
    expect(codeOf(await aws.read('a'))).toBe('VERSION_GONE');
  });

  it('does not report a secret as absent if the read does not find it, but DescribeSecret does', async () => {
    await using aws = await openAws();
    aws.server.store.put('a', 'x');
    aws.server.failKey('a', new AwsError('ResourceNotFoundException'), /GetSecretValue/);
    expect(codeOf(await aws.read('a'))).toBe('BAD_ANSWER');
    const results = await aws.provider.read([{ key: 'a' }, { key: 'none' }]);
    expect(results.map(codeOf)).toEqual(['BAD_ANSWER', 'absent']);
  });

  it('does not report a secret as absent if its ARN is incomplete and its name ends like an ARN', async () => {
    await using aws = await openAws();
    const { arn } = aws.server.store.put('db-a1b2c3', 'x');
    const key = arn.slice(0, -7);
    expect(await aws.read(key)).toMatchObject({
      error: { code: 'CONFIG_INVALID', remedy: expect.stringContaining('complete ARN') },
    });
    const results = await aws.provider.read([{ key }, { key: arn }]);
    expect(results.map(codeOf)).toEqual(['CONFIG_INVALID', 'found']);
    aws.server.fail(new AwsError('AccessDeniedException'), /^DescribeSecret$/);
    expect(codeOf(await aws.read(key))).toBe('ACCESS_DENIED');
    aws.server.fail(undefined);
    aws.server.store.remove('db-a1b2c3', 'force');
    expect((await aws.provider.read([{ key }, { key: arn }])).map(codeOf)).toEqual(['absent', 'absent']);
  });

  it('does not report a secret as absent if the error type says that it is missing, but the status is a server error', async () => {
    await using aws = await openAws();
    aws.server.fail(new AwsError('ResourceNotFoundException', 500));
    expect(codeOf(await aws.read('none'))).toBe('STORE_UNAVAILABLE');
  });

  it('does not report a secret as absent if its state prevents the read', async () => {
    await using aws = await openAws();
    aws.server.store.put('a', 'x');
    aws.server.failKey('a', new AwsError('InvalidRequestException'), /GetSecretValue/);
    expect(codeOf(await aws.read('a'))).toBe('BAD_ANSWER');
  });
});
