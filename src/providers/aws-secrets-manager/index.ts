import { defineProvider } from '../provider.ts';
import { AwsConfig } from './config.ts';
import { MAX_DESCRIBED, namesOf } from './keys.ts';
import { awsNames } from './names.ts';

export const awsSecretsManager = defineProvider({
  kind: 'aws-secrets-manager',
  title: 'AWS Secrets Manager',
  Config: AwsConfig,
  names: awsNames,
  can: { tellVersions: true, findByTags: true, readsPerCall: 20, describesUpTo: MAX_DESCRIBED },
  // The account of the role is part of the identity, because all keys would look deleted in another account.
  identity: ({ kind, region, endpoint, auth }) => ({ kind, region, endpoint, account: accountOf(auth) }),
  versionsPerPage: ({ freshness }) => (freshness === 'strict' ? undefined : 100),
  keyNames: namesOf,
  async create(config, deps) {
    const { openAws } = await import('./open.ts');
    return openAws(config, deps);
  },
});

/** The account of the last role that is assumed. Undefined if the account depends on the credentials. */
function accountOf(auth: AwsConfig['auth']): string | undefined {
  const roleArn =
    auth.assumeRole?.at(-1)?.roleArn ?? (auth.method === 'webIdentity' ? auth.roleArn : undefined);
  return roleArn?.split(':')[4];
}
