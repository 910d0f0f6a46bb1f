import {
  BatchGetSecretValueCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  ListSecretsCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { fromTemporaryCredentials, fromWebToken } from '@aws-sdk/credential-providers';
import { describe, expect, it } from 'vitest';
import { AwsError, startAwsServer } from './aws-server.ts';

const REGION = 'eu-west-1';
const ROLE = 'arn:aws:iam::123456789012:role/x';

/** Starts the fake server, and a client of the real SDK. The client does not retry. */
async function open() {
  const server = await startAwsServer();
  const { accessKeyId, secretAccessKey } = server.root;
  const options = { region: REGION, endpoint: server.address, maxAttempts: 1 };
  const client = new SecretsManagerClient({ ...options, credentials: { accessKeyId, secretAccessKey } });
  return {
    server,
    client,
    options,
    get: (SecretId: string) => client.send(new GetSecretValueCommand({ SecretId })),
    async [Symbol.asyncDispose]() {
      client.destroy();
      await server[Symbol.asyncDispose]();
    },
  };
}

describe('the fake AWS server', () => {
  it('returns a value by its name, ARN, partial ARN, stage or version id', async () => {
    await using aws = await open();
    aws.server.store.put('a', 'old');
    const { arn, versions } = aws.server.store.put('a', Buffer.from('new'));
    for (const id of ['a', arn, arn.slice(0, -7)]) {
      const answer = await aws.get(id);
      expect(answer).toMatchObject({
        ARN: arn,
        Name: 'a',
        VersionId: versions[1]?.id,
        VersionStages: ['AWSCURRENT'],
      });
      expect(Buffer.from(answer.SecretBinary ?? []).toString()).toBe('new');
      expect(answer.CreatedDate).toBeInstanceOf(Date);
    }
    const old = { SecretString: 'old' };
    const get = (more: object) => aws.client.send(new GetSecretValueCommand({ SecretId: 'a', ...more }));
    expect(await get({ VersionStage: 'AWSPREVIOUS' })).toMatchObject(old);
    expect(await get({ VersionId: versions[0]?.id })).toMatchObject(old);
    await expect(get({ VersionStage: 'X' })).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  });

  it('describes a secret, and lists secrets in pages or by the start of their names', async () => {
    await using aws = await open();
    for (let index = 0; index < 12; index += 1)
      aws.server.store.put(`p/${index}`, 'x', { tags: { n: `${index}` } });
    aws.server.store.put('q', 'x');
    aws.server.store.remove('p/0', 'schedule');
    const list = (more: object) =>
      aws.client.send(
        new ListSecretsCommand({ Filters: [{ Key: 'name', Values: ['p/'] }], MaxResults: 7, ...more }),
      );
    const first = await list({});
    expect(first.SecretList).toHaveLength(7);
    const second = await list({ NextToken: first.NextToken });
    expect([second.SecretList?.length, second.NextToken]).toEqual([4, undefined]);
    expect(first.SecretList?.[0]).toMatchObject({ Name: 'p/1', Tags: [{ Key: 'n', Value: '1' }] });
    const described = await aws.client.send(new DescribeSecretCommand({ SecretId: 'p/0' }));
    expect(described.DeletedDate).toBeInstanceOf(Date);
    expect(Object.values(described.VersionIdsToStages ?? {})).toEqual([['AWSCURRENT']]);
    await expect(aws.get('p/0')).rejects.toMatchObject({ name: 'InvalidRequestException' });
  });

  it('accepts at most 20 ids in a batch, and reports the ids that have no value', async () => {
    await using aws = await open();
    const ids = Array.from({ length: 21 }, (_, index) => `k${index}`);
    for (const id of ids.slice(1)) aws.server.store.put(id, id);
    aws.server.failKey('k1', new AwsError('DecryptionFailure'));
    const batch = (SecretIdList: string[]) =>
      aws.client.send(new BatchGetSecretValueCommand({ SecretIdList }));
    const answer = await batch(ids.slice(0, 20));
    expect(answer.SecretValues).toHaveLength(18);
    expect(answer.Errors?.map(({ SecretId, ErrorCode }) => [SecretId, ErrorCode])).toEqual([
      ['k0', 'ResourceNotFoundException'],
      ['k1', 'DecryptionFailure'],
    ]);
    await expect(batch(ids)).rejects.toMatchObject({ name: 'ValidationException' });
  });

  it('issues temporary credentials for a role', async () => {
    await using aws = await open();
    const { accessKeyId, secretAccessKey } = aws.server.root;
    const assumed = fromTemporaryCredentials({
      masterCredentials: { accessKeyId, secretAccessKey },
      params: { RoleArn: ROLE, RoleSessionName: 'me' },
      clientConfig: aws.options,
    });
    const web = fromWebToken({ roleArn: ROLE, webIdentityToken: 't', clientConfig: aws.options });
    aws.server.store.put('a', 'x');
    for (const provide of [assumed, web]) {
      const client = new SecretsManagerClient({ ...aws.options, credentials: await provide() });
      const get = () => client.send(new GetSecretValueCommand({ SecretId: 'a' }));
      expect(await get()).toMatchObject({ SecretString: 'x' });
      aws.server.expireAll();
      await expect(get()).rejects.toMatchObject({ name: 'ExpiredTokenException' });
      client.destroy();
    }
    aws.server.webTokens = [];
    await expect(web()).rejects.toMatchObject({ name: 'InvalidIdentityTokenException' });
  });

  it('rejects unsigned requests and unknown credentials', async () => {
    await using aws = await open();
    const answer = await fetch(aws.server.address, {
      method: 'POST',
      headers: { 'x-amz-target': 'secretsmanager.GetSecretValue' },
      body: '{"SecretId":"a"}',
    });
    expect([answer.status, await answer.json()]).toMatchObject([
      400,
      { __type: 'MissingAuthenticationTokenException' },
    ]);
    const unknownClient = new SecretsManagerClient({
      ...aws.options,
      credentials: { accessKeyId: 'AKIAX', secretAccessKey: 'x' },
    });
    const call = unknownClient.send(new GetSecretValueCommand({ SecretId: 'a' }));
    await expect(call).rejects.toMatchObject({ name: 'UnrecognizedClientException' });
    unknownClient.destroy();
  });

  it('applies a fault only to the given operations', async () => {
    await using aws = await open();
    aws.server.store.put('a', 'x');
    aws.server.fail(new AwsError('ThrottlingException'), /^GetSecretValue$/);
    await expect(aws.get('a')).rejects.toMatchObject({ name: 'ThrottlingException' });
    expect((await aws.client.send(new ListSecretsCommand({}))).SecretList).toHaveLength(1);
    for (const fault of ['reset', 'cut', 'html', 'html 403'] as const) {
      aws.server.fail(fault);
      await expect(aws.get('a')).rejects.toThrow();
    }
    aws.server.fail(undefined);
    expect(await aws.get('a')).toMatchObject({ SecretString: 'x' });
    expect(aws.server.count('GetSecretValue')).toBe(6);
  });
});
