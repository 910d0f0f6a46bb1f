import { untilHang } from '../../conformance/provider-deps.ts';
import { AwsError, type AwsServer, startAwsServer } from '../../fakes/aws-server.ts';
import { type FaultProxy, startFaultProxy } from '../../fakes/fault-proxy.ts';
import { AWS_FAULTS } from '../../providers/aws-secrets-manager/faults.ts';
import { canned, defineKind, type Fault } from '../failures.ts';
import { LIMITS, type NetworkStore, openRoute, portOf, WAY } from './route.ts';

const GONE = ['gone', 'found/gone'];

interface AwsStore extends NetworkStore {
  readonly server: AwsServer;
  readonly proxy: FaultProxy;
}

async function openAwsStore(): Promise<AwsStore> {
  const server = await startAwsServer();
  const proxy = await startFaultProxy(server.address);
  const route = await openRoute('aws.secretbridge.test', { port: portOf(proxy.address), secure: false });
  return {
    server,
    proxy,
    front: route.front,
    loseName: route.loseName,
    config: {
      name: 's',
      kind: 'aws-secrets-manager',
      region: 'eu-west-1',
      endpoint: route.address,
      tls: { caFile: route.caFile },
      auth: { method: 'static', accessKeyId: { env: 'KEY_ID' }, secretAccessKey: { env: 'SECRET_KEY' } },
      limits: LIMITS,
    },
    env: { KEY_ID: server.root.accessKeyId, SECRET_KEY: server.root.secretAccessKey },
    deadline: untilHang(proxy),
    key: (name) => name,
    put(key, text) {
      const { store } = server;
      store.put(key, text);
      const secret = store.get(key);
      if (secret !== undefined) secret.deletedAt = undefined;
    },
    heal() {
      route.heal();
      proxy.set(undefined);
      server.fail(undefined);
      for (const name of ['gone', 'found/gone']) server.failKey(name, undefined);
    },
    async [Symbol.asyncDispose]() {
      await route[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const awsNamed = (
  title: string,
  type: string,
  code: Fault<AwsStore>['code'],
  more: Partial<Fault<AwsStore>>,
) => ({
  failure: 'unexpected response' as const,
  title,
  code,
  scope: 'store' as const,
  begin: ({ server }: AwsStore) =>
    server.fail(new AwsError(type, more.failure === '500' ? 500 : more.failure === '503' ? 503 : 400)),
  ...more,
});
const failGone =
  (type: string, operations?: RegExp) =>
  ({ server }: AwsStore) => {
    for (const key of GONE) server.failKey(key, new AwsError(type), operations);
  };
const forceAway = ({ server }: AwsStore) => {
  for (const key of GONE) server.store.remove(key, 'force');
};

const awsFaults: readonly Fault<AwsStore>[] = [
  ...canned(AWS_FAULTS, 'store', ({ proxy }: AwsStore, fault) => proxy.set(fault)),
  ...WAY,
  awsNamed('an expired session', 'ExpiredTokenException', 'AUTH_FAILED', { failure: '401' }),
  awsNamed('a deleted access key', 'UnrecognizedClientException', 'AUTH_FAILED', {
    failure: '401',
  }),
  awsNamed('a policy without any permission', 'AccessDeniedException', 'ACCESS_DENIED', {
    failure: '403',
  }),
  awsNamed('throttling by error type', 'ThrottlingException', 'THROTTLED', { failure: '429' }),
  awsNamed('an internal error by error type', 'InternalServiceError', 'STORE_UNAVAILABLE', {
    failure: '500',
  }),
  awsNamed('unavailable by error type', 'ServiceUnavailable', 'STORE_UNAVAILABLE', { failure: '503' }),
  awsNamed('an unknown error type', 'SomethingNewException', 'BAD_ANSWER', {}),
  {
    failure: 'truncated JSON',
    title: 'a truncated response without a length',
    scope: 'store',
    code: 'BAD_ANSWER',
    begin: ({ server }) => server.fail('cut'),
  },
  awsNamed('one key without read permission', '', 'ACCESS_DENIED', {
    failure: '403',
    scope: 'key',
    begin: failGone('AccessDeniedException'),
  }),
  awsNamed('one key that cannot be decrypted', '', 'ACCESS_DENIED', {
    failure: '403',
    scope: 'key',
    begin: failGone('DecryptionFailure'),
  }),
  awsNamed('one key with an internal error', '', 'STORE_UNAVAILABLE', {
    failure: '500',
    scope: 'key',
    begin: failGone('InternalServiceError'),
  }),
  awsNamed('one throttled key', '', 'THROTTLED', {
    failure: '429',
    scope: 'key',
    begin: failGone('ThrottlingException'),
  }),
  awsNamed('one key that is not found, but has a description', '', 'BAD_ANSWER', {
    failure: 'absence that cannot be confirmed',
    scope: 'key',
    begin: failGone('ResourceNotFoundException', /GetSecretValue/),
  }),
  awsNamed('one key without a current version', '', 'VERSION_GONE', {
    scope: 'key',
    begin({ server }) {
      for (const key of GONE) {
        server.store.remove(key, 'force');
        server.store.put(key, undefined);
      }
    },
  }),
  { failure: 'absent', title: 'absent', scope: 'key', code: 'SOURCE_ABSENT', begin: forceAway },
  {
    failure: 'absence that cannot be confirmed',
    title: 'absent, without permission to describe it',
    scope: 'key',
    code: 'ACCESS_DENIED',
    begin(store) {
      forceAway(store);
      store.server.fail(new AwsError('AccessDeniedException'), /^DescribeSecret$/);
    },
  },
  {
    failure: 'deleted, recoverable',
    title: 'scheduled for deletion',
    scope: 'key',
    code: 'SOURCE_DELETED',
    begin({ server }) {
      for (const key of GONE) server.store.remove(key, 'schedule');
    },
  },
];

export const AWS = defineKind({
  title: 'aws-secrets-manager',
  faults: awsFaults,
  never: { disabled: 'AWS cannot disable a secret' },
  open: openAwsStore,
});
