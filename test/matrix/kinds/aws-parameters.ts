import { untilHang } from '../../conformance/provider-deps.ts';
import { AwsError, type AwsServer, startAwsServer } from '../../fakes/aws-server.ts';
import { type FaultProxy, startFaultProxy } from '../../fakes/fault-proxy.ts';
import { AWS_FAULTS } from '../../providers/aws-secrets-manager/faults.ts';
import { canned, defineKind, type Fault } from '../failures.ts';
import { LIMITS, type NetworkStore, openRoute, portOf, WAY } from './route.ts';

const GONE = ['/gone', '/found/gone'];

interface ParametersInAws extends NetworkStore {
  readonly server: AwsServer;
  readonly proxy: FaultProxy;
}

async function openStore(): Promise<ParametersInAws> {
  const server = await startAwsServer();
  const proxy = await startFaultProxy(server.address);
  const route = await openRoute('ssm.secretbridge.test', { port: portOf(proxy.address), secure: false });
  return {
    server,
    proxy,
    front: route.front,
    loseName: route.loseName,
    config: {
      name: 's',
      kind: 'aws-parameter-store',
      region: 'eu-west-1',
      endpoint: route.address,
      tls: { caFile: route.caFile },
      auth: { method: 'static', accessKeyId: { env: 'KEY_ID' }, secretAccessKey: { env: 'SECRET_KEY' } },
      limits: LIMITS,
    },
    env: { KEY_ID: server.root.accessKeyId, SECRET_KEY: server.root.secretAccessKey },
    deadline: untilHang(proxy),
    key: (name) => `/${name}`,
    put: (key, text) => void server.parameters.put(key, text),
    heal() {
      route.heal();
      proxy.set(undefined);
      server.fail(undefined);
      for (const name of GONE) server.failKey(name, undefined);
    },
    async [Symbol.asyncDispose]() {
      await route[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const failAll = (error: AwsError) => ({
  scope: 'store' as const,
  begin: ({ server }: ParametersInAws) => server.fail(error),
});
const failGone = (error: AwsError) => ({
  scope: 'key' as const,
  begin({ server }: ParametersInAws) {
    for (const key of GONE) server.failKey(key, error);
  },
});
const removeGone = ({ server }: ParametersInAws) => {
  for (const key of GONE) server.parameters.remove(key);
};
const UNCONFIRMED = 'absence that cannot be confirmed' as const;

const faults: readonly Fault<ParametersInAws>[] = [
  ...canned(AWS_FAULTS, 'store', ({ proxy }: ParametersInAws, fault) => proxy.set(fault)),
  ...WAY,
  {
    failure: '401',
    title: 'an expired session',
    code: 'AUTH_FAILED',
    ...failAll(new AwsError('ExpiredTokenException')),
  },
  {
    failure: '403',
    title: 'a policy without any permission',
    code: 'ACCESS_DENIED',
    ...failAll(new AwsError('AccessDeniedException')),
  },
  {
    failure: '429',
    title: 'throttling by error type',
    code: 'THROTTLED',
    ...failAll(new AwsError('ThrottlingException')),
  },
  {
    failure: '500',
    title: 'an internal error by error type',
    code: 'STORE_UNAVAILABLE',
    ...failAll(new AwsError('InternalServerError', 500)),
  },
  {
    failure: 'unexpected response',
    title: 'an unknown error type',
    code: 'BAD_ANSWER',
    ...failAll(new AwsError('SomethingNewException')),
  },
  {
    failure: '403',
    title: 'one key without read permission',
    code: 'ACCESS_DENIED',
    ...failGone(new AwsError('AccessDeniedException')),
  },
  {
    failure: '403',
    title: 'one key that cannot be decrypted',
    code: 'ACCESS_DENIED',
    ...failGone(new AwsError('InvalidKeyId')),
  },
  { failure: 'absent', title: 'absent', scope: 'key', code: 'SOURCE_ABSENT', begin: removeGone },
  {
    failure: UNCONFIRMED,
    title: 'absent, without permission to confirm it',
    scope: 'key',
    code: 'ACCESS_DENIED',
    begin(store) {
      removeGone(store);
      store.server.fail(new AwsError('AccessDeniedException'), /^GetParameter$/);
    },
  },
  {
    failure: UNCONFIRMED,
    title: 'absent, but the confirmation fails',
    scope: 'key',
    code: 'STORE_UNAVAILABLE',
    begin(store) {
      removeGone(store);
      store.server.fail(new AwsError('InternalServerError', 500), /^GetParameter$/);
    },
  },
];

export const AWS_PARAMETERS = defineKind({
  title: 'aws-parameter-store',
  faults,
  never: {
    disabled: 'Parameter Store cannot disable a parameter',
    'deleted, recoverable': 'Parameter Store deletes parameters at once',
  },
  open: openStore,
});
