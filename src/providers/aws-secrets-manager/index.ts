import { accountOf } from '../aws/config.ts';
import { unknownRegion } from '../aws/regions.ts';
import {
  type Expectation,
  isRoot,
  type NameRules,
  type StoreFields,
  suggestIfDifferent,
  withoutEmpty,
} from '../name-rules.ts';
import { defineProvider } from '../provider.ts';
import { AwsConfig } from './config.ts';
import { ARN, MAX_DESCRIBED, NAME, namesOf } from './keys.ts';

export const awsSecretsManager = defineProvider({
  kind: 'aws-secrets-manager',
  title: 'AWS Secrets Manager',
  Config: AwsConfig,
  names: awsNames,
  can: { tellVersions: true, findByTags: true, readsPerCall: 20, describesUpTo: MAX_DESCRIBED },
  // The account of the role is part of the identity of a store. Another account contains other keys, so the keys of the
  // first account would look deleted.
  identity: ({ kind, region, endpoint, auth }) => ({ kind, region, endpoint, account: accountOf(auth) }),
  // An endpoint may belong to a compatible service with regions of its own.
  warning({ region, endpoint }) {
    const message = endpoint === undefined ? unknownRegion(region) : undefined;
    return message === undefined ? undefined : { field: 'region', message };
  },
  versionsPerPage: ({ freshness }) => (freshness === 'strict' ? undefined : 100),
  keyNames: namesOf,
  async create(config, deps) {
    const { openAws } = await import('./open.ts');
    return openAws(config, deps);
  },
});

function awsNames({ region }: StoreFields): NameRules {
  return {
    naming: { unlisted: 'arns' },
    hasTags: true,
    hasObjects: false,
    key: (key) => (/^arn:/i.test(key) ? checkArn(key, region) : checkName(key)),
    // A version is an ID or a stage label. The writer of a version can choose its ID and its labels.
    version: (version) =>
      /^[\x20-\x7e]{1,256}$/.test(version)
        ? undefined
        : { expected: 'a version id, or a stage label such as `AWSPREVIOUS`' },
    search: (path) => (isRoot(path) ? undefined : checkPath(path.replace(/\/$/, ''))),
  };
}

/** https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html */
function checkName(name: string): Expectation | undefined {
  const expected = 'an AWS Secrets Manager name: 1 to 512 of `A-Z a-z 0-9 / _ + = . @ ! -`';
  if (!NAME.test(name))
    return name.length > 512 ? { expected } : { expected, ...suggestIfDifferent(name, name.trim()) };
  const segments = name.split('/');
  if (segments.some((segment) => segment === '.' || segment === '..'))
    return { expected: 'a name without `.` and `..` segments' };
  return undefined;
}

/** Checks the path of a search. The path must not contain `//`, but the names that the search finds below it may. */
function checkPath(path: string): Expectation | undefined {
  const violation = checkName(path);
  if (violation !== undefined || !path.split('/').slice(1).includes('')) return violation;
  const suggested = (path.startsWith('/') ? '/' : '') + withoutEmpty(path);
  return { expected: 'a path without `//`', ...suggestIfDifferent(path, suggested) };
}

function checkArn(arn: string, region: unknown): Expectation | undefined {
  const [, , arnRegion, , name = ''] = ARN.exec(arn) ?? [];
  if (arnRegion === undefined)
    return { expected: 'a name, or an ARN: `arn:aws:secretsmanager:<region>:<account>:secret:<name>`' };
  // An invalid region gives no error here, because the schema reports it.
  if (typeof region === 'string' && /^[a-z0-9-]{1,64}$/.test(region) && arnRegion !== region)
    return { expected: `an ARN of the store's own region \`${region}\`, got one of \`${arnRegion}\`` };
  return checkName(name);
}
