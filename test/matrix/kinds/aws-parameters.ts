import { AwsError } from '../../fakes/aws-server.ts';
import { AWS_FAULTS } from '../../providers/aws-secrets-manager/faults.ts';
import { canned, defineKind, type Fault } from '../failures.ts';
import { type AwsStore, openAwsStore } from './aws-store.ts';
import { WAY } from './route.ts';

const GONE = ['/gone', '/found/gone'];

const openStore = () =>
  openAwsStore({
    kind: 'aws-parameter-store',
    missing: GONE,
    key: (name) => `/${name}`,
    put: ({ parameters }, key, text) => void parameters.put(key, text),
  });

const failAll = (error: AwsError) => ({
  scope: 'store' as const,
  begin: ({ server }: AwsStore) => server.fail(error),
});
const failGone = (error: AwsError) => ({
  scope: 'key' as const,
  begin({ server }: AwsStore) {
    for (const key of GONE) server.failKey(key, error);
  },
});
const removeGone = ({ server }: AwsStore) => {
  for (const key of GONE) server.parameters.remove(key);
};
const UNCONFIRMED = 'absence that cannot be confirmed' as const;

const faults: readonly Fault<AwsStore>[] = [
  ...canned(AWS_FAULTS, 'store', ({ proxy }: AwsStore, fault) => proxy.set(fault)),
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
