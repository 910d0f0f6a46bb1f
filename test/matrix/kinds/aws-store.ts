import { untilHang } from '../../conformance/provider-deps.ts';
import { type AwsServer, startAwsServer } from '../../fakes/aws-server.ts';
import { type FaultProxy, startFaultProxy } from '../../fakes/fault-proxy.ts';
import { LIMITS, type NetworkStore, openRoute, portOf } from './route.ts';

/** A store in a fake AWS, behind a proxy that injects faults. */
export interface AwsStore extends NetworkStore {
  readonly server: AwsServer;
  readonly proxy: FaultProxy;
}

interface AwsKind {
  readonly kind: 'aws-secrets-manager' | 'aws-parameter-store';
  /** The keys that the faults of single keys concern. */
  readonly missing: readonly string[];
  readonly key: NetworkStore['key'];
  put(server: AwsServer, key: string, text: string): void;
}

export async function openAwsStore({ kind, missing, key, put }: AwsKind): Promise<AwsStore> {
  const server = await startAwsServer();
  const proxy = await startFaultProxy(server.address);
  const route = await openRoute(`${kind}.secretbridge.test`, { port: portOf(proxy.address), secure: false });
  return {
    server,
    proxy,
    front: route.front,
    loseName: route.loseName,
    config: {
      name: 's',
      kind,
      region: 'eu-west-1',
      endpoint: route.address,
      tls: { caFile: route.caFile },
      auth: { method: 'static', accessKeyId: { env: 'KEY_ID' }, secretAccessKey: { env: 'SECRET_KEY' } },
      limits: LIMITS,
    },
    env: { KEY_ID: server.root.accessKeyId, SECRET_KEY: server.root.secretAccessKey },
    deadline: untilHang(proxy),
    key,
    put: (name, text) => put(server, name, text),
    heal() {
      route.heal();
      proxy.set(undefined);
      server.fail(undefined);
      for (const name of missing) server.failKey(name, undefined);
    },
    async [Symbol.asyncDispose]() {
      await route[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
