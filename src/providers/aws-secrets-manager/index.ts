import { defineProvider } from '../provider.ts';
import { AwsConfig } from './config.ts';
import { MOST_DESCRIBED, namesOf } from './keys.ts';

export const awsSecretsManager = defineProvider({
  kind: 'aws-secrets-manager',
  title: 'AWS Secrets Manager',
  Config: AwsConfig,
  can: { tellVersions: true, findByTags: true, readsPerCall: 20, describesUpTo: MOST_DESCRIBED },
  // The account of the role belongs to it: in another account every key would look like one that is gone.
  identity: ({ kind, region, endpoint, auth }) => ({ kind, region, endpoint, account: accountOf(auth) }),
  versionsPerPage: ({ freshness }) => (freshness === 'strict' ? undefined : 100),
  keyNames: namesOf,
  async create(config, deps) {
    const { openAws } = await import('./open.ts');
    return openAws(config, deps);
  },
});

/** The account that the last role of the login is in; undefined where only the credentials know it. */
function accountOf(auth: AwsConfig['auth']): string | undefined {
  const roleArn =
    auth.assumeRole?.at(-1)?.roleArn ?? (auth.method === 'webIdentity' ? auth.roleArn : undefined);
  return roleArn?.split(':')[4];
}
