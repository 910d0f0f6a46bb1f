import { AwsConfig } from '../../../src/providers/aws-secrets-manager/config.ts';
import { awsSecretsManager } from '../../../src/providers/aws-secrets-manager/index.ts';
import { testDeps, untilHang } from '../../conformance/provider-deps.ts';
import { type AwsServer, type AwsServerOptions, startAwsServer } from '../../fakes/aws-server.ts';
import { startFaultProxy } from '../../fakes/fault-proxy.ts';

export interface OpenOptions {
  readonly config?: Readonly<Record<string, unknown>>;
  readonly deps?: Parameters<typeof testDeps>[0];
  readonly server?: AwsServerOptions;
}

export const STATIC = {
  method: 'static',
  accessKeyId: { env: 'KEY_ID' },
  secretAccessKey: { env: 'SECRET_KEY' },
};

export const REGION = 'eu-west-1';
export const ACCOUNT = '123456789012';

export function roleArn(name: string): string {
  return `arn:aws:iam::${ACCOUNT}:role/${name}`;
}

/** Opens a fake AWS server, a proxy in front of it, and a provider. */
export async function openAws({ config = {}, deps = {}, server: serverOptions = {} }: OpenOptions = {}) {
  const server = await startAwsServer({ region: REGION, account: ACCOUNT, ...serverOptions });
  const proxy = await startFaultProxy(server.address);
  // A changed variable takes effect at the next login.
  const env: Record<string, string> = {
    KEY_ID: server.root.accessKeyId,
    SECRET_KEY: server.root.secretAccessKey,
    AWS_EC2_METADATA_DISABLED: 'true',
    ...deps.env,
  };
  const parsed = parse({ endpoint: proxy.address, ...config });
  const hang = untilHang(proxy);
  server.onHang = () => proxy.onHang();
  const limits = deps.timeoutMs === undefined ? { deadline: hang } : {};
  const provider = await awsSecretsManager.create(parsed, testDeps({ ...limits, ...deps, env }));
  return {
    server,
    proxy,
    provider,
    env,
    read: async (key: string, version?: string) =>
      (await provider.read([version === undefined ? { key } : { key, version }]))[0],
    sent: () => sent(server),
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Returns the operations of all requests since the previous call of this function. */
function sent(server: AwsServer): string[] {
  return server.requests.splice(0).map(({ operation }) => operation);
}

export function parse(config: Readonly<Record<string, unknown>>): AwsConfig {
  return AwsConfig.parse({ kind: 'aws-secrets-manager', region: REGION, auth: STATIC, ...config });
}
