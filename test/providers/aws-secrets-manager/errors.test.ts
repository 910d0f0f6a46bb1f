import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../../src/core/error-codes.ts';
import { codeOf } from '../../conformance/provider.ts';
import { AwsError } from '../../fakes/aws-server.ts';
import { openAws } from './harness.ts';

const NAMES: readonly (readonly [string, number, ErrorCode])[] = [
  ['ThrottlingException', 400, 'THROTTLED'],
  ['TooManyRequestsException', 400, 'THROTTLED'],
  ['RequestLimitExceeded', 400, 'THROTTLED'],
  ['LimitExceededException', 400, 'THROTTLED'],
  ['SlowDown', 503, 'THROTTLED'],
  ['AccessDeniedException', 400, 'ACCESS_DENIED'],
  ['DecryptionFailure', 400, 'ACCESS_DENIED'],
  ['OptInRequired', 403, 'ACCESS_DENIED'],
  ['ExpiredTokenException', 400, 'AUTH_FAILED'],
  ['UnrecognizedClientException', 400, 'AUTH_FAILED'],
  ['InvalidSignatureException', 400, 'AUTH_FAILED'],
  ['InvalidClientTokenId', 403, 'AUTH_FAILED'],
  ['IncompleteSignature', 400, 'AUTH_FAILED'],
  ['MissingAuthenticationTokenException', 400, 'AUTH_FAILED'],
  ['InternalServiceError', 500, 'STORE_UNAVAILABLE'],
  ['InternalFailure', 500, 'STORE_UNAVAILABLE'],
  ['ServiceUnavailableException', 503, 'STORE_UNAVAILABLE'],
  ['SomethingNew', 502, 'STORE_UNAVAILABLE'],
  ['SomethingNew', 400, 'BAD_ANSWER'],
  ['toString', 400, 'BAD_ANSWER'],
];

describe('an AWS error', () => {
  it.each(NAMES)('converts the AWS error %s with status %i to %s', async (type, status, code) => {
    await using aws = await openAws();
    aws.server.store.put('a', 'x');
    aws.server.fail(new AwsError(type, status));
    expect(codeOf(await aws.read('a'))).toBe(code);
    const results = await aws.provider.read([{ key: 'a' }, { key: 'b' }]);
    expect(results.map(codeOf)).toEqual([code, code]);
    await expect(aws.provider.find({ path: '', tags: {} })).rejects.toMatchObject({ code });
    expect(await aws.provider.versions(['a'])).toEqual([{ kind: 'unknown' }]);
  });

  it('names the region that was asked if the region may be wrong', async () => {
    await using aws = await openAws();
    for (const [type, operation] of [
      ['AccessDeniedException', 'GetSecretValue'],
      ['AccessDeniedException', 'DescribeSecret'],
      ['UnrecognizedClientException', 'GetSecretValue'],
    ] as const) {
      aws.server.fail(new AwsError(type), new RegExp(`^${operation}$`));
      expect(await aws.read('none')).toMatchObject({
        error: { detail: expect.stringContaining('asked in region eu-west-1') },
      });
    }
  });

  it('recognizes an AWS error by its name, even with a namespace before it and an address after it', async () => {
    await using aws = await openAws();
    aws.server.fail(
      new AwsError('com.amazonaws.secretsmanager#ThrottlingException:http://internal.amazon.com/'),
    );
    expect(codeOf(await aws.read('a'))).toBe('THROTTLED');
  });

  it('reports clock skew if AWS rejects the signature and our clock differs greatly from the clock of AWS', async () => {
    await using near = await openAws();
    near.server.fail(new AwsError('InvalidSignatureException'));
    expect(await near.read('a')).toMatchObject({
      error: { detail: expect.stringContaining('secret access key') },
    });
    await using aws = await openAws();
    aws.server.fail(new AwsError('InvalidSignatureException'));
    aws.server.skewMs = 600_000;
    expect(await aws.read('a')).toMatchObject({
      error: {
        code: 'AUTH_FAILED',
        detail: expect.stringMatching(/^the clock here is \d+ s behind the store's$/),
      },
    });
  });
});

describe('the checks of an AWS store', () => {
  const names = async (aws: Awaited<ReturnType<typeof openAws>>) =>
    (await aws.provider.check()).map(({ name, error }) => [name.split(':')[0], error?.code]);

  it('runs the checks in order, from the credentials to the permissions', async () => {
    await using aws = await openAws();
    expect(await names(aws)).toEqual([
      ['credentials', undefined],
      ['reach', undefined],
      ['login', undefined],
      ['read in batches', undefined],
      ['list', undefined],
    ]);
    expect(aws.server.count('GetSecretValue')).toBe(0);
  });

  it('runs no further checks after the first failure', async () => {
    await using noKey = await openAws({ deps: { env: { KEY_ID: '' } } });
    expect(await names(noKey)).toEqual([['credentials', 'CREDENTIAL_MISSING']]);
    await using wrongKey = await openAws({ deps: { env: { KEY_ID: 'AKIAWRONG' } } });
    expect(await names(wrongKey)).toEqual([
      ['credentials', undefined],
      ['reach', undefined],
      ['login', 'AUTH_FAILED'],
    ]);
    await using down = await openAws();
    down.server.fail('reset');
    expect(await names(down)).toEqual([
      ['credentials', undefined],
      ['reach', 'STORE_UNAVAILABLE'],
    ]);
  });

  it('reports clock skew, and each missing permission that would save calls', async () => {
    await using aws = await openAws();
    aws.server.skewMs = -120_000;
    aws.server.fail(new AwsError('AccessDeniedException'), /Batch|List/);
    const checks = await aws.provider.check();
    expect(checks.map(({ error }) => error?.code)).toEqual([
      undefined,
      'CLOCK_SKEWED',
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(checks.at(-1)?.name).toContain('secretsmanager:ListSecrets');
  });

  it('uses batches again after a check has found that the permission was granted', async () => {
    await using aws = await openAws();
    for (const name of ['a', 'b']) aws.server.store.put(name, 'x');
    aws.server.fail(new AwsError('AccessDeniedException'), /Batch/);
    await aws.provider.read([{ key: 'a' }, { key: 'b' }]);
    aws.server.fail(undefined);
    await aws.provider.check();
    aws.sent();
    await aws.provider.read([{ key: 'a' }, { key: 'b' }]);
    expect(aws.sent()).toEqual(['BatchGetSecretValue']);
  });
});
