import { ListSecretsCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { clientOptions } from '../../../src/providers/aws/client-options.ts';
import { createHandler } from '../../../src/providers/aws/handler.ts';
import { createSts } from '../../../src/providers/aws/sts.ts';
import type { OutgoingRequest, Transport } from '../../../src/providers/aws/transport.ts';
import { AwsConfig } from '../../../src/providers/aws-secrets-manager/config.ts';
import { testDeps } from '../../conformance/provider-deps.ts';
import { parse, roleArn } from '../aws-secrets-manager/harness.ts';

const KEYS = { accessKeyId: 'AKIA', secretAccessKey: 'x' };

/** Creates a transport that records every request. Its requests fail without a response. */
function witness() {
  const requests: OutgoingRequest[] = [];
  const transport: Transport = {
    async send(request) {
      requests.push(request);
      throw new Error('no answer');
    },
    skewMs: undefined,
    async [Symbol.asyncDispose]() {},
  };
  const hosts = () => requests.map(({ protocol, hostname }) => `${protocol}//${hostname}`);
  return { transport, requests, hosts };
}

async function addressesOf(more: Readonly<Record<string, unknown>>) {
  const { endpoint: customEndpoint, ...config } = parse({ endpoint: undefined, ...more });
  const { transport, hosts } = witness();
  const endpoint = customEndpoint === undefined ? {} : { endpoint: customEndpoint };
  const client = new SecretsManagerClient({
    ...clientOptions(config),
    ...endpoint,
    credentials: KEYS,
    requestHandler: createHandler(transport),
  });
  const call = client.send(new ListSecretsCommand({}), { abortSignal: new AbortController().signal });
  await expect(call).rejects.toThrow();
  const sts = createSts({ ...config, ...endpoint }, transport, testDeps(), new AbortController().signal);
  await expect(sts.assumeRole({ roleArn: roleArn('x') }, KEYS)).rejects.toThrow();
  await expect(sts.assumeRoleWithWebIdentity(roleArn('x'), 'token')).rejects.toThrow();
  const [service, ...logins] = hosts();
  expect(new Set(logins).size).toBe(1);
  return [service, logins[0]];
}

afterEach(() => vi.unstubAllEnvs());

describe('the endpoint URL', () => {
  const isTaken = (endpoint: string) =>
    AwsConfig.safeParse({ kind: 'aws-secrets-manager', region: 'eu-west-1', endpoint }).success;

  it('rejects an endpoint URL that contains a credential', () => {
    expect(isTaken('https://vpce-1.secretsmanager.eu-west-1.vpce.amazonaws.com/')).toBe(true);
    for (const end of ['user:password@host', 'token@host', 'host?token=x', 'host/#x'])
      expect([end, isTaken(`https://${end}`)]).toEqual([end, false]);
  });
});

describe('the AWS endpoints', () => {
  it.each([
    ['eu-west-1', false, 'amazonaws.com'],
    ['cn-north-1', false, 'amazonaws.com.cn'],
    ['us-gov-west-1', false, 'amazonaws.com'],
    ['eusc-de-east-1', false, 'amazonaws.eu'],
    ['us-east-1', true, 'amazonaws.com'],
    ['us-gov-east-1', true, 'amazonaws.com'],
  ])('uses endpoints in the domain of the AWS partition of %s (FIPS: %s)', async (region, fips, suffix) => {
    const [service, sts] = await addressesOf({ region, fips });
    expect(service).toBe(`https://secretsmanager${fips ? '-fips' : ''}.${region}.${suffix}`);
    // In GovCloud, the STS endpoint supports FIPS and has no `-fips` in its name.
    expect(sts).toBe(`https://sts${fips && !region.startsWith('us-gov') ? '-fips' : ''}.${region}.${suffix}`);
  });

  it('uses a custom endpoint for both Secrets Manager and STS, unless the endpoint is in an AWS domain', async () => {
    const own = 'http://127.0.0.1';
    expect(await addressesOf({ endpoint: `${own}:4566` })).toEqual([own, own]);
    const gateway = 'https://aws.example.org';
    expect(await addressesOf({ endpoint: gateway })).toEqual([gateway, gateway]);
    const looksLike = 'https://sts.amazonaws.com.example.org';
    expect(await addressesOf({ endpoint: looksLike })).toEqual([looksLike, looksLike]);
    const vpc = 'https://vpce-1-2.secretsmanager.eu-west-1.vpce.amazonaws.com';
    expect(await addressesOf({ endpoint: vpc })).toEqual([vpc, 'https://sts.eu-west-1.amazonaws.com']);
  });

  it('ignores environment variables, shared AWS configuration and proxy settings when it determines the endpoints', async () => {
    for (const name of ['AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_SECRETS_MANAGER', 'AWS_ENDPOINT_URL_STS'])
      vi.stubEnv(name, 'http://127.0.0.1:9');
    for (const name of ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY']) vi.stubEnv(name, 'http://127.0.0.1:9');
    vi.stubEnv('AWS_REGION', 'us-west-2');
    vi.stubEnv('AWS_DEFAULT_REGION', 'us-west-2');
    vi.stubEnv('AWS_USE_FIPS_ENDPOINT', 'true');
    vi.stubEnv('AWS_USE_DUALSTACK_ENDPOINT', 'true');
    vi.stubEnv('AWS_CONFIG_FILE', '/nowhere');
    expect(await addressesOf({})).toEqual([
      'https://secretsmanager.eu-west-1.amazonaws.com',
      'https://sts.eu-west-1.amazonaws.com',
    ]);
  });

  it('rejects a configuration with both FIPS and a custom endpoint', () => {
    expect(() => parse({ fips: true, endpoint: 'https://aws.example.org' })).toThrow();
  });
});
