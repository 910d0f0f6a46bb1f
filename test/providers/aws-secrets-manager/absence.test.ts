import { describe, expect, it } from 'vitest';
import { codeOf } from '../../conformance/provider.ts';
import { AwsError } from '../../fakes/aws-server.ts';
import { FAULTS } from '../../fakes/fault-proxy.ts';
import { openAws } from './harness.ts';

describe('proof of absence in AWS Secrets Manager', () => {
  it('requires that DescribeSecret confirms the missing secret', async () => {
    await using aws = await openAws();
    expect(await aws.read('none')).toEqual({ kind: 'absent' });
    expect(aws.sent()).toEqual(['GetSecretValue', 'DescribeSecret']);
    expect(await aws.provider.read([{ key: 'none' }, { key: 'other' }])).toEqual([
      { kind: 'absent' },
      { kind: 'absent' },
    ]);
    expect(aws.sent()).toEqual(['BatchGetSecretValue', 'DescribeSecret', 'DescribeSecret']);
  });

  it('fails if DescribeSecret is denied', async () => {
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
  ])('fails if DescribeSecret fails with %s', async (type) => {
    await using aws = await openAws();
    aws.server.fail(new AwsError(type), /^DescribeSecret$/);
    for (const result of [
      await aws.read('none'),
      ...(await aws.provider.read([{ key: 'none' }, { key: 'b' }])),
    ])
      expect(result?.kind).toBe('failed');
  });

  it.each(['hang', 'reset', 'cut', 'html', 'html 403'] as const)(
    'fails if the DescribeSecret call has a fault (%s)',
    async (fault) => {
      await using aws = await openAws();
      aws.server.fail(fault, /^DescribeSecret$/);
      expect((await aws.read('none'))?.kind).toBe('failed');
    },
  );

  it('fails for a 404 without an AWS error type', async () => {
    await using aws = await openAws();
    for (const fault of ['wrong mount', 'not found, in HTML'] as const) {
      aws.proxy.set(fault);
      expect(codeOf(await aws.read('none'))).toBe('BAD_ANSWER');
    }
  });

  it.each(FAULTS)('never results from the fault "%s", in a single read or in a batch', async (fault) => {
    await using aws = await openAws();
    aws.server.store.put('a', 'x');
    aws.proxy.set(fault);
    const results = await aws.provider.read([
      { key: 'a' },
      { key: 'none' },
      { key: 'a', version: 'AWSPREVIOUS' },
    ]);
    expect(results.map(({ kind }) => kind)).toEqual(['failed', 'failed', 'failed']);
  });

  it('does not apply to a secret scheduled for deletion: every version is reported as deleted', async () => {
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

  it('does not apply to a secret without a value, which is reported as VERSION_GONE', async () => {
    await using aws = await openAws();
    aws.server.store.put('a', undefined);
    expect(codeOf(await aws.read('a'))).toBe('VERSION_GONE');
  });

  it('fails if read and DescribeSecret contradict each other', async () => {
    await using aws = await openAws();
    aws.server.store.put('a', 'x');
    aws.server.failKey('a', new AwsError('ResourceNotFoundException'), /GetSecretValue/);
    expect(codeOf(await aws.read('a'))).toBe('BAD_ANSWER');
    const results = await aws.provider.read([{ key: 'a' }, { key: 'none' }]);
    expect(results.map(codeOf)).toEqual(['BAD_ANSWER', 'absent']);
  });

  it('fails if the error type says that the secret is missing, but the status is a server error', async () => {
    await using aws = await openAws();
    aws.server.fail(new AwsError('ResourceNotFoundException', 500));
    expect(codeOf(await aws.read('none'))).toBe('STORE_UNAVAILABLE');
  });

  it("fails if the secret's state prevents the read", async () => {
    await using aws = await openAws();
    aws.server.store.put('a', 'x');
    aws.server.failKey('a', new AwsError('InvalidRequestException'), /GetSecretValue/);
    expect(codeOf(await aws.read('a'))).toBe('BAD_ANSWER');
  });
});
