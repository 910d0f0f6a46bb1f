import type { AwsStore, StoredSecret, StoredVersion } from './aws-store.ts';

/** An error in the format of AWS. Its status is 400 by default. */
export class AwsError extends Error {
  readonly type: string;
  readonly status: number;

  constructor(type: string, status = 400, message = `message of ${type}, which must never be shown`) {
    super(message);
    this.type = type;
    this.status = status;
  }
}

type Input = Readonly<Record<string, unknown>>;

export interface OperationContext {
  readonly store: AwsStore;
  /** Throws the error that the test has set for this secret, if any. */
  checkKey(operation: string, secret: StoredSecret): void;
  /** The number of secrets on one page of BatchGetSecretValue. AWS may return smaller pages than requested. */
  readonly batchPage: number;
}

/** The operations that the fake supports. https://docs.aws.amazon.com/secretsmanager/latest/apireference/ */
export const OPERATIONS: Readonly<Record<string, (context: OperationContext, input: Input) => object>> = {
  GetSecretValue: (context, input) => getValue(context, 'GetSecretValue', text(input.SecretId), input),
  BatchGetSecretValue: batchGet,
  DescribeSecret(context, input) {
    const secret = find(context.store, text(input.SecretId));
    context.checkKey('DescribeSecret', secret);
    const stages = stagesOf(secret);
    // Like AWS, names no versions if there are none.
    return { ...describe(secret), ...(isEmpty(stages) ? {} : { VersionIdsToStages: stages }) };
  },
  ListSecrets: list,
};

function getValue(context: OperationContext, operation: string, id: string, input: Input = {}): object {
  const secret = find(context.store, id);
  context.checkKey(operation, secret);
  if (secret.deletedAt !== undefined) throw new AwsError('InvalidRequestException');
  const { VersionId: versionId, VersionStage: stage = versionId === undefined ? 'AWSCURRENT' : undefined } =
    input;
  const version = secret.versions.find(
    (candidate) =>
      (versionId === undefined || candidate.id === versionId) &&
      (stage === undefined || candidate.stages.has(text(stage))),
  );
  if (version === undefined) throw new AwsError('ResourceNotFoundException');
  return payload(secret, version);
}

function batchGet(context: OperationContext, input: Input): object {
  const ids = input.SecretIdList;
  if (!Array.isArray(ids) || ids.length === 0 || ids.length > 20) throw new AwsError('ValidationException');
  if (new Set(ids).size !== ids.length) throw new AwsError('InvalidParameterException');
  const from = input.NextToken === undefined ? 0 : Number(input.NextToken);
  const values: object[] = [];
  const errors: object[] = [];
  for (const id of ids.slice(from, from + context.batchPage)) {
    try {
      values.push(getValue(context, 'BatchGetSecretValue item', text(id)));
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      errors.push({ SecretId: id, ErrorCode: error.type, Message: error.message });
    }
  }
  const next = from + context.batchPage;
  return {
    SecretValues: values,
    Errors: errors,
    ...(next < ids.length ? { NextToken: String(next) } : {}),
  };
}

function list({ store }: OperationContext, input: Input): object {
  const filters = (input.Filters ?? []) as readonly { Key: string; Values: readonly string[] }[];
  const matching = store
    .all()
    .filter(({ deletedAt }) => deletedAt === undefined || input.IncludePlannedDeletion === true)
    .filter((secret) => filters.every((filter) => matchesFilter(secret, filter)));
  const size = Math.min(Number(input.MaxResults ?? 100), 100);
  const from = input.NextToken === undefined ? 0 : Number(/^page-(\d+)$/.exec(text(input.NextToken))?.[1]);
  if (Number.isNaN(from)) throw new AwsError('InvalidNextTokenException');
  const page = matching.slice(from, from + size);
  return {
    SecretList: page.map((secret) => ({ ...describe(secret), SecretVersionsToStages: stagesOf(secret) })),
    ...(from + size < matching.length ? { NextToken: `page-${from + size}` } : {}),
  };
}

/** Whether a secret matches a filter. Like AWS, compares only the start of names and tags. */
function matchesFilter(
  secret: StoredSecret,
  { Key: key, Values: values }: { Key: string; Values: readonly string[] },
) {
  const texts =
    key === 'name'
      ? [secret.name]
      : key === 'tag-key'
        ? Object.keys(secret.tags)
        : key === 'tag-value'
          ? Object.values(secret.tags)
          : [];
  return values.some((value) =>
    value.startsWith('!')
      ? !texts.some((candidate) => candidate.startsWith(value.slice(1)))
      : texts.some((candidate) => candidate.startsWith(value)),
  );
}

function find(store: AwsStore, id: string): StoredSecret {
  const secret = store.get(id);
  if (secret === undefined) throw new AwsError('ResourceNotFoundException');
  return secret;
}

function describe({ arn, name, tags, versions, deletedAt }: StoredSecret): object {
  return {
    ARN: arn,
    Name: name,
    Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
    LastChangedDate: Math.max(0, ...versions.map(({ createdAt }) => createdAt)),
    ...(deletedAt === undefined ? {} : { DeletedDate: deletedAt }),
  };
}

function isEmpty(value: object): boolean {
  return Object.keys(value).length === 0;
}

/** Returns the stages of each version. Like AWS, omits versions without a stage. */
function stagesOf({ versions }: StoredSecret): Record<string, string[]> {
  return Object.fromEntries(
    versions.filter(({ stages }) => stages.size > 0).map(({ id, stages }) => [id, [...stages]]),
  );
}

function payload({ arn, name }: StoredSecret, { id, value, createdAt, stages }: StoredVersion): object {
  return {
    ARN: arn,
    Name: name,
    VersionId: id,
    ...(typeof value === 'string'
      ? { SecretString: value }
      : { SecretBinary: Buffer.from(value).toString('base64') }),
    VersionStages: [...stages],
    CreatedDate: createdAt,
  };
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new AwsError('InvalidParameterException');
  return value;
}
