import { describe, expect, it } from 'vitest';
import { AppError } from '../../../src/core/errors.ts';
import { fromNetwork, toStoreError } from '../../../src/providers/aws/errors.ts';
import { JSON_FORMAT, XML_FORMAT } from '../../../src/providers/aws/transport.ts';
import { codeOf, everythingIn, MARKER } from '../../conformance/provider.ts';
import { openAws } from '../aws-secrets-manager/harness.ts';

describe('an AWS response', () => {
  it('rejects a truncated response', () => {
    const json = '{"ARN":"a","SecretString":"x"}';
    const xml =
      '<AssumeRoleResponse><Credentials><SessionToken>abc</SessionToken></Credentials></AssumeRoleResponse>';
    expect(JSON_FORMAT.isWhole(json)).toBe(true);
    expect(XML_FORMAT.isWhole(`${xml}\n`)).toBe(true);
    for (let end = 0; end < json.length; end += 1)
      expect(JSON_FORMAT.isWhole(json.slice(0, end))).toBe(false);
    for (let end = 0; end < xml.length; end += 1) expect(XML_FORMAT.isWhole(xml.slice(0, end))).toBe(false);
    for (const other of ['null', '[]', '1', '"x"']) expect(JSON_FORMAT.isWhole(other)).toBe(false);
  });

  it('rejects a response without the AWS content type', async () => {
    await using aws = await openAws();
    for (const name of ['a', 'b']) aws.server.store.put(name, 'x');
    aws.server.fail('wrong type');
    const results = await aws.provider.read([
      { key: 'a' },
      { key: 'b' },
      { key: 'a', version: 'AWSCURRENT' },
    ]);
    expect(results.map(codeOf)).toEqual(Array(3).fill('BAD_ANSWER'));
    await expect(aws.provider.find({ path: '', tags: {} })).rejects.toMatchObject({ code: 'BAD_ANSWER' });
  });
});

describe('a malformed AWS response', () => {
  const secret = (more: object) => ({ ARN: 'arn:of-a', Name: 'a', ...more });
  const codeOfCall = async (call: Promise<unknown>) => {
    const [ended] = await Promise.allSettled([call]);
    return ended.status === 'rejected' ? ended.reason.code : 'fulfilled';
  };

  it.each([
    { SecretValues: {} },
    { SecretValues: [null] },
    { SecretValues: ['a'] },
    { SecretValues: [], Errors: [null] },
    { SecretValues: [], Errors: {} },
  ])('reports an error for exactly the keys of a batch whose response is malformed: %j', async (answer) => {
    await using aws = await openAws();
    aws.server.store.put('c', 'x');
    aws.server.fail({ answer }, /Batch/);
    const refs = [{ key: 'a' }, { key: 'b' }, { key: 'c', version: 'AWSCURRENT' }];
    expect((await aws.provider.read(refs)).map(codeOf)).toEqual(['BAD_ANSWER', 'BAD_ANSWER', 'found']);
  });

  it('reads each key of the batch separately after a response with invalid names', async () => {
    await using aws = await openAws();
    const keys = ['a', 'b'].map((name) => aws.server.store.put(name, 'x').arn.slice(0, -7));
    aws.server.fail({ answer: { SecretValues: [{ ARN: null }, { ARN: 5, Name: 'a' }] } }, /Batch/);
    const results = await aws.provider.read(keys.map((key) => ({ key })));
    expect(results.map(codeOf)).toEqual(['found', 'found']); // The batch response named neither key, so each key was read separately.
  });

  it.each([
    { SecretList: {} },
    { SecretList: [null] },
    { SecretList: [{ Name: 'p/a', Tags: {} }] },
    { SecretList: [{ Name: 'p/a', Tags: [null] }] },
  ])('fails a search after the malformed response %j', async (answer) => {
    await using aws = await openAws();
    aws.server.fail({ answer }, /List/);
    const search = aws.provider.find({ path: 'p', tags: { live: 'true' } });
    expect(await codeOfCall(search)).toBe('BAD_ANSWER');
  });

  it.each([
    { SecretList: {} },
    { SecretList: [null] },
    { SecretList: [secret({ SecretVersionsToStages: { v1: null } })] },
    { SecretList: [secret({ SecretVersionsToStages: { v1: 'AWSCURRENT' } })] },
  ])('reports the version of every key as unknown after the malformed response %j', async (answer) => {
    await using aws = await openAws();
    aws.server.fail({ answer }, /List/);
    expect(await aws.provider.versions(['a', 'b', 'c'])).toEqual(Array(3).fill({ kind: 'unknown' }));
  });

  it('does not report a secret as absent after a malformed response of DescribeSecret', async () => {
    await using aws = await openAws();
    aws.server.fail({ answer: secret({ VersionIdsToStages: { v1: null } }) }, /Describe/);
    expect(codeOf(await aws.read('a'))).toBe('BAD_ANSWER');
    expect(await aws.provider.versions(['a'])).toEqual([{ kind: 'unknown' }]);
  });
});

describe('our error for an exception of the AWS SDK', () => {
  it.each([
    ['of the SDK', Object.assign(new SyntaxError(MARKER), { $response: { body: MARKER } })],
    ['of the endpoint rules', Object.assign(new Error(MARKER), { name: 'EndpointError' })],
    ['of the credential providers', Object.assign(new Error(MARKER), { name: 'CredentialsProviderError' })],
  ])('keeps the text of an exception %s out of our error', (_, thrown) => {
    const error = toStoreError(thrown);
    expect(error).toBeInstanceOf(AppError);
    expect(everythingIn(error)).not.toContain(MARKER);
  });

  it('keeps the text of a connection error out of our error', () => {
    const thrown = Object.assign(new Error(MARKER), { code: 'HPE_INVALID_CONSTANT', data: MARKER });
    const error = fromNetwork(thrown, { region: 'eu-west-1' });
    expect(error.code).toBe('BAD_ANSWER');
    expect(everythingIn(error)).not.toContain(MARKER);
  });
});
