import { AwsError } from '../../fakes/aws-server.ts';
import { AWS_FAULTS } from '../../providers/aws-secrets-manager/faults.ts';
import { canned, defineKind, type Fault } from '../failures.ts';
import { type AwsStore, openAwsStore } from './aws-store.ts';
import { WAY } from './route.ts';

const GONE = ['gone', 'found/gone'];

const openStore = () =>
  openAwsStore({
    kind: 'aws-secrets-manager',
    missing: GONE,
    key: (name) => name,
    put({ store }, key, text) {
      store.put(key, text);
      const secret = store.get(key);
      if (secret !== undefined) secret.deletedAt = undefined;
    },
  });

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
  open: openStore,
});
