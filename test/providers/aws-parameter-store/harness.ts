import { compareText } from '../../../src/core/target.ts';
import { ParameterStoreConfig } from '../../../src/providers/aws-parameter-store/config.ts';
import { awsParameterStore } from '../../../src/providers/aws-parameter-store/index.ts';
import type { SecretProvider } from '../../../src/providers/provider.ts';
import { testDeps, untilHang } from '../../conformance/provider-deps.ts';
import { startAwsServer } from '../../fakes/aws-server.ts';
import { startFaultProxy } from '../../fakes/fault-proxy.ts';
import { ACCOUNT, type OpenOptions, REGION, STATIC } from '../aws-secrets-manager/harness.ts';

export function arnOf(name: string, region = REGION): string {
  return `arn:aws:ssm:${region}:${ACCOUNT}:parameter/${name.replace(/^\//, '')}`;
}

export function parse(config: Readonly<Record<string, unknown>>): ParameterStoreConfig {
  return ParameterStoreConfig.parse({ kind: 'aws-parameter-store', region: REGION, auth: STATIC, ...config });
}

/** Opens a fake AWS server, a proxy in front of it, and a provider of Parameter Store. */
export async function openParameters({ config = {}, deps = {} }: OpenOptions = {}) {
  const server = await startAwsServer({ region: REGION, account: ACCOUNT });
  const proxy = await startFaultProxy(server.address);
  const env = {
    KEY_ID: server.root.accessKeyId,
    SECRET_KEY: server.root.secretAccessKey,
    AWS_EC2_METADATA_DISABLED: 'true',
    ...deps.env,
  };
  const hang = untilHang(proxy);
  server.onHang = () => proxy.onHang();
  const provider = await awsParameterStore.create(
    parse({ endpoint: proxy.address, ...config }),
    testDeps({ deadline: hang, ...deps, env }),
  );
  return {
    server,
    parameters: server.parameters,
    proxy,
    provider,
    read: async (key: string, version?: string) =>
      (await provider.read([version === undefined ? { key } : { key, version }]))[0],
    /** Returns the operations of all requests since the previous call of this function. */
    sent: () => server.requests.splice(0).map(({ operation }) => operation),
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/**
 * A name with levels starts with a slash, but the keys of the conformance suite do not. So this function puts a slash
 * before the keys of the suite, and removes it from the keys that a search finds.
 */
export function withSlashes(provider: SecretProvider): SecretProvider {
  return {
    ...provider,
    read: (refs, options) =>
      provider.read(
        refs.map((ref) => ({ ...ref, key: `/${ref.key}` })),
        options,
      ),
    versions: (keys, options) =>
      provider.versions(
        keys.map((key) => `/${key}`),
        options,
      ),
    async find({ path, tags }, options) {
      const keys = await provider.find({ path: `/${path}`, tags }, options);
      return keys.map((key) => key.replace(/^\//, '')).sort(compareText);
    },
  };
}
