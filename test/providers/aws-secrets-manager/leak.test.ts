import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { everythingIn, MARKER } from '../../conformance/provider.ts';
import { AwsError, startAwsServer } from '../../fakes/aws-server.ts';
import { FAULTS } from '../../fakes/fault-proxy.ts';
import { leaksIn } from '../leaks.ts';
import { openAws, roleArn, STATIC } from './harness.ts';

const ROLE = { auth: { ...STATIC, assumeRole: [{ roleArn: roleArn('bridge') }] } };
/** Every message of the fake contains this text. */
const VENDOR_TEXT = 'which must never be shown';

async function expectNothingIn(aws: Awaited<ReturnType<typeof openAws>>): Promise<void> {
  const refs = ['a', 'b', 'none'].map((key) => ({ key }));
  const results = await aws.provider.read([...refs, { key: 'a', version: 'AWSPREVIOUS' }]);
  const checks = await aws.provider.check();
  const text = everythingIn([...results, ...checks]);
  const secrets = [MARKER, ...aws.server.secrets()];
  expect(leaksIn(text, secrets)).toEqual([]);
  expect(text).not.toContain(VENDOR_TEXT);
}

describe('errors of AWS contain no secret', () => {
  it.each(FAULTS)('after "%s"', async (fault) => {
    await using aws = await openAws({ config: ROLE });
    for (const name of ['a', 'b']) aws.server.store.put(name, MARKER);
    aws.proxy.set(fault);
    await expectNothingIn(aws);
    aws.proxy.set(undefined);
    await expectNothingIn(aws);
    aws.proxy.set(fault);
    await expectNothingIn(aws);
  });

  it.each([
    ['hang', /./],
    ['cut', /./],
    ['cut', /Secret/],
    ['html', /AssumeRole/],
    ['wrong type', /./],
    ['wrong form', /./],
    ['wrong form', /Secret/],
    ['wrong form', /AssumeRole/],
    [new AwsError('AccessDeniedException'), /./],
    [new AwsError('SomethingNew'), /./],
    [new AwsError('AccessDeniedException'), /Describe|Batch/],
  ] as const)('after %s of %s', async (fault, operations) => {
    await using aws = await openAws({ config: ROLE });
    for (const name of ['a', 'b']) aws.server.store.put(name, MARKER);
    aws.server.failKey('b', new AwsError('DecryptionFailure'));
    aws.server.fail(fault, operations);
    await expectNothingIn(aws);
  });
});

const SCRIPT = `
  import { AwsConfig } from './src/providers/aws-secrets-manager/config.ts';
  import { awsSecretsManager } from './src/providers/aws-secrets-manager/index.ts';
  import { testDeps } from './test/conformance/provider-deps.ts';
  const config = AwsConfig.parse(JSON.parse(process.env.CONFIG));
  const provider = await awsSecretsManager.create(config, testDeps({ env: process.env }));
  const results = await provider.read([{ key: 'a' }, { key: 'none' }]);
  console.log(results.map(({ kind }) => kind).join());
`;

describe('a process with an AWS store', () => {
  it('prints nothing that it sends, connects to nothing else, and exits by itself', async () => {
    await using server = await startAwsServer();
    server.store.put('a', MARKER);
    const config = { kind: 'aws-secrets-manager', region: 'eu-west-1', endpoint: server.address, ...ROLE };
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module-typescript', '--eval', SCRIPT],
      {
        timeout: 15_000,
        env: {
          CONFIG: JSON.stringify(config),
          KEY_ID: server.root.accessKeyId,
          SECRET_KEY: server.root.secretAccessKey,
          DEBUG: '*',
          AWS_PROFILE: 'nobody',
          AWS_ENDPOINT_URL: 'http://127.0.0.1:9',
          AWS_ACCESS_KEY_ID: 'AKIAOTHER',
          AWS_SECRET_ACCESS_KEY: 'other',
          HTTP_PROXY: 'http://127.0.0.1:9',
          NODE_USE_ENV_PROXY: '1',
        },
      },
    );
    expect(stdout).toBe('found,absent\n');
    expect(leaksIn(stderr, [MARKER, ...server.secrets()])).toEqual([]);
    expect(stderr).not.toMatch(/aws|sdk/i);
  });
});
