import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { codeOf } from '../../conformance/provider.ts';
import { AwsError } from '../../fakes/aws-operations.ts';
import { createManualTime } from '../../fakes/manual-time.ts';
import { openAws, roleArn } from '../aws-secrets-manager/harness.ts';

const HOUR_MS = 3_600_000;

afterEach(() => vi.unstubAllEnvs());

async function tokenFile(text = 'token-1\n') {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-aws-'));
  const path = join(folder, 'token');
  await writeFile(path, text);
  return {
    path,
    write: (next: string) => writeFile(path, next),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

describe('a web identity', () => {
  it('logs in with the current content of the token file', async () => {
    await using token = await tokenFile();
    const auth = { method: 'webIdentity', roleArn: roleArn('pod'), tokenFile: token.path };
    const clock = createManualTime(Date.now());
    await using aws = await openAws({ config: { auth }, deps: { clock } });
    aws.server.store.put('a', 'x');
    aws.server.webTokens = ['token-1'];
    expect(codeOf(await aws.read('a'))).toBe('found');
    aws.server.webTokens = ['token-2'];
    await token.write('token-2');
    await clock.advance(HOUR_MS);
    expect(codeOf(await aws.read('a'))).toBe('found');
    expect(aws.server.count('AssumeRoleWithWebIdentity')).toBe(2);
  });

  it('logs in with the token file of the pod, and then assumes the configured roles', async () => {
    await using token = await tokenFile();
    const auth = {
      method: 'webIdentity',
      roleArn: roleArn('pod'),
      assumeRole: [{ roleArn: roleArn('top') }],
    };
    await using aws = await openAws({
      config: { auth },
      deps: { env: { AWS_WEB_IDENTITY_TOKEN_FILE: token.path } },
    });
    aws.server.store.put('a', 'x');
    expect(codeOf(await aws.read('a'))).toBe('found');
    expect(aws.sent()).toEqual(['AssumeRoleWithWebIdentity', 'AssumeRole', 'GetSecretValue']);
  });

  it('reports a token that is missing or that AWS rejects', async () => {
    const auth = { method: 'webIdentity', roleArn: roleArn('pod') };
    await using none = await openAws({ config: { auth } });
    expect(await none.read('a')).toMatchObject({
      error: { code: 'CREDENTIAL_MISSING', detail: expect.stringContaining('AWS_WEB_IDENTITY_TOKEN_FILE') },
    });
    await using token = await tokenFile();
    await using aws = await openAws({ config: { auth: { ...auth, tokenFile: token.path } } });
    aws.server.webTokens = [];
    expect(await aws.read('a')).toMatchObject({
      error: { code: 'AUTH_FAILED', detail: 'AWS does not accept the web identity token' },
    });
  });
});

describe('a web identity whose login fails', () => {
  it.each(['ExpiredTokenException', 'ExpiredToken'])(
    'reports a web identity token that has expired (%s)',
    async (type) => {
      await using token = await tokenFile();
      const auth = { method: 'webIdentity', roleArn: roleArn('pod'), tokenFile: token.path };
      await using aws = await openAws({ config: { auth } });
      aws.server.fail(new AwsError(type), /AssumeRoleWithWebIdentity/);
      expect(await aws.read('a')).toMatchObject({
        error: { code: 'AUTH_FAILED', detail: 'the web identity token has expired' },
      });
    },
  );

  it.each([
    ['reset', 'STORE_UNAVAILABLE'],
    ['hang', 'TIMEOUT'],
    ['cut', 'BAD_ANSWER'],
    ['wrong type', 'BAD_ANSWER'],
    ['wrong form', 'BAD_ANSWER'],
  ] as const)('fails a read with an AppError if the login has the fault "%s"', async (fault, code) => {
    await using token = await tokenFile();
    const auth = { method: 'webIdentity', roleArn: roleArn('pod'), tokenFile: token.path };
    await using aws = await openAws({ config: { auth } });
    aws.server.fail(fault, /AssumeRole/);
    const results = await aws.provider.read([
      { key: 'a' },
      { key: 'b' },
      { key: 'a', version: 'AWSCURRENT' },
    ]);
    expect(results.map(codeOf)).toEqual([code, code, code]);
    await expect(aws.provider.find({ path: '', tags: {} })).rejects.toMatchObject({ code });
    expect((await aws.provider.check()).map(({ error }) => error?.code)).toEqual([code]);
  });
});

describe('the default AWS login', () => {
  const auth = { method: 'default' };

  it('logs in with environment variables if they are set', async () => {
    await using aws = await openAws({ config: { auth } });
    aws.server.store.put('a', 'x');
    Object.assign(aws.env, {
      AWS_ACCESS_KEY_ID: aws.server.root.accessKeyId,
      AWS_SECRET_ACCESS_KEY: aws.server.root.secretAccessKey,
      AWS_ROLE_ARN: roleArn('pod'),
      AWS_WEB_IDENTITY_TOKEN_FILE: '/nowhere',
    });
    expect(codeOf(await aws.read('a'))).toBe('found');
    expect(aws.sent()).toEqual(['GetSecretValue']);
  });

  it('logs in with the web identity of the pod', async () => {
    await using token = await tokenFile();
    const env = { AWS_ROLE_ARN: roleArn('pod'), AWS_WEB_IDENTITY_TOKEN_FILE: token.path };
    await using aws = await openAws({ config: { auth }, deps: { env } });
    aws.server.store.put('a', 'x');
    expect(codeOf(await aws.read('a'))).toBe('found');
    expect(aws.server.requests[0]?.input).toMatchObject({
      RoleArn: roleArn('pod'),
      WebIdentityToken: 'token-1',
    });
  });

  it('gets credentials from the container endpoint with the token in the token file, and renews these credentials', async () => {
    await using token = await tokenFile();
    const clock = createManualTime(Date.now());
    await using aws = await openAws({ config: { auth }, deps: { clock } });
    aws.server.store.put('a', 'x');
    await token.write(aws.server.containerToken);
    aws.env.AWS_CONTAINER_CREDENTIALS_FULL_URI = `${aws.server.address}/v1/credentials`;
    aws.env.AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE = token.path;
    expect(codeOf(await aws.read('a'))).toBe('found');
    await clock.advance(HOUR_MS);
    expect(codeOf(await aws.read('a'))).toBe('found');
    expect(aws.server.count('container')).toBe(2);
    await clock.advance(HOUR_MS);
    await token.write('wrong');
    expect(codeOf(await aws.read('a'))).toBe('STORE_UNAVAILABLE');
  });

  it('logs in once for many reads, even if the credentials have expired by our clock', async () => {
    await using token = await tokenFile();
    const clock = createManualTime(Date.now() + 48 * HOUR_MS);
    await using aws = await openAws({ config: { auth }, deps: { clock } });
    aws.server.store.put('a', 'x');
    await token.write(aws.server.containerToken);
    aws.env.AWS_CONTAINER_CREDENTIALS_FULL_URI = `${aws.server.address}/v1/credentials`;
    aws.env.AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE = token.path;
    for (let reads = 0; reads < 5; reads += 1) expect(codeOf(await aws.read('a'))).toBe('found');
    expect(aws.server.count('container')).toBe(1);
    await clock.advance(10_000);
    expect(codeOf(await aws.read('a'))).toBe('found');
    expect(aws.server.count('container')).toBe(2);
  });

  it('logs in with the instance role, and reports an outage after the role was removed', async () => {
    const clock = createManualTime(Date.now());
    const env = { AWS_EC2_METADATA_DISABLED: '' };
    await using aws = await openAws({ config: { auth }, deps: { clock, env } });
    aws.server.store.put('a', 'x');
    vi.stubEnv('AWS_EC2_METADATA_SERVICE_ENDPOINT', aws.server.address);
    expect(codeOf(await aws.read('a'))).toBe('found');
    vi.stubEnv('AWS_EC2_METADATA_SERVICE_ENDPOINT', 'http://127.0.0.1:9');
    await clock.advance(HOUR_MS);
    expect(codeOf(await aws.read('a'))).toBe('STORE_UNAVAILABLE');
  });

  it('fails with CREDENTIAL_MISSING on a machine without credentials', async () => {
    await using aws = await openAws({ config: { auth }, deps: { env: { AWS_EC2_METADATA_DISABLED: '' } } });
    vi.stubEnv('AWS_EC2_METADATA_SERVICE_ENDPOINT', 'http://127.0.0.1:9');
    expect(codeOf(await aws.read('a'))).toBe('CREDENTIAL_MISSING');
  });

  it('reports where it looked for credentials, and that it does not support profiles', async () => {
    await using aws = await openAws({ config: { auth }, deps: { env: { AWS_PROFILE: 'dev' } } });
    const result = await aws.read('a');
    expect(codeOf(result)).toBe('CREDENTIAL_MISSING');
    const text = result?.kind === 'failed' ? result.error.message : '';
    for (const part of [
      'AWS_ACCESS_KEY_ID',
      'AWS_WEB_IDENTITY_TOKEN_FILE',
      'container',
      'instance',
      'AWS_PROFILE',
    ])
      expect(text).toContain(part);
  });
});
