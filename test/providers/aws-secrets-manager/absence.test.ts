import { describe, expect, it } from 'vitest';
import { codeOf } from '../../conformance/provider.ts';
import { AwsError } from '../../fakes/aws-server.ts';
import { FAULTS } from '../../fakes/fault-proxy.ts';
import { openAws } from './harness.ts';

describe('absence in AWS', () => {
  it('is what the read says and the description confirms', async () => {
    await using aws = await openAws();
    expect(await aws.read('none')).toEqual({ kind: 'absent' });
    expect(aws.sent()).toEqual(['GetSecretValue', 'DescribeSecret']);
    expect(await aws.provider.read([{ key: 'none' }, { key: 'other' }])).toEqual([
      { kind: 'absent' },
      { kind: 'absent' },
    ]);
    expect(aws.sent()).toEqual(['BatchGetSecretValue', 'DescribeSecret', 'DescribeSecret']);
  });

  it('is not claimed when the description is not ours to see', async () => {
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
  ])('is not claimed when the description fails with %s', async (type) => {
    await using aws = await openAws();
    aws.server.fail(new AwsError(type), /^DescribeSecret$/);
    for (const result of [
      await aws.read('none'),
      ...(await aws.provider.read([{ key: 'none' }, { key: 'b' }])),
    ])
      expect(result?.kind).toBe('failed');
  });

  it.each(['hang', 'reset', 'cut', 'html', 'html 403'] as const)(
    'is not claimed when the description goes wrong (%s)',
    async (fault) => {
      await using aws = await openAws();
      aws.server.fail(fault, /^DescribeSecret$/);
      expect((await aws.read('none'))?.kind).toBe('failed');
    },
  );

  it('is not claimed for a bare 404, whoever sends it', async () => {
    await using aws = await openAws();
    for (const fault of ['wrong mount', 'not found, in HTML'] as const) {
      aws.proxy.set(fault);
      expect(codeOf(await aws.read('none'))).toBe('BAD_ANSWER');
    }
  });

  it.each(FAULTS)('is never the outcome of "%s", alone or in a batch', async (fault) => {
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

  it('is told apart from a secret that is scheduled for deletion, whatever version is named', async () => {
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

  it('is told apart from a secret that has no value yet', async () => {
    await using aws = await openAws();
    aws.server.store.put('a', undefined);
    expect(codeOf(await aws.read('a'))).toBe('VERSION_GONE');
  });

  it('is not claimed when read and description disagree', async () => {
    await using aws = await openAws();
    aws.server.store.put('a', 'x');
    aws.server.failKey('a', new AwsError('ResourceNotFoundException'), /GetSecretValue/);
    expect(codeOf(await aws.read('a'))).toBe('BAD_ANSWER');
    const results = await aws.provider.read([{ key: 'a' }, { key: 'none' }]);
    expect(results.map(codeOf)).toEqual(['BAD_ANSWER', 'absent']);
  });

  it('is not claimed by a server in trouble that uses the name', async () => {
    await using aws = await openAws();
    aws.server.fail(new AwsError('ResourceNotFoundException', 500));
    expect(codeOf(await aws.read('none'))).toBe('STORE_UNAVAILABLE');
  });

  it('says nothing of a secret in a state that forbids reading for another reason', async () => {
    await using aws = await openAws();
    aws.server.store.put('a', 'x');
    aws.server.failKey('a', new AwsError('InvalidRequestException'), /GetSecretValue/);
    expect(codeOf(await aws.read('a'))).toBe('BAD_ANSWER');
  });
});
