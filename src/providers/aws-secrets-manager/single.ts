import { DescribeSecretCommand, GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { AppError } from '../../core/errors.ts';
import type { ReadResult } from '../../core/read-result.ts';
import { badAnswer } from '../answer.ts';
import { type AwsFailure, isDenied, isType, withRegion } from '../aws/errors.ts';
import { asStoreError } from '../aws/session.ts';
import { createdAt, expiresAtText } from '../results.ts';
import type { AwsConfig } from './config.ts';
import { ambiguousName, matchesKey, mayBeId, type Version } from './keys.ts';
import { type Session, toResult } from './value.ts';

/**
 * The error type for a secret whose state prevents reading, for example because the secret is scheduled for deletion.
 */
export const BAD_STATE = 'InvalidRequestException';
const CURRENT = 'AWSCURRENT';
const INVALID_INPUT_TYPES = ['InvalidParameterException', 'ValidationException'];

/**
 * Reads one secret. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
 * @throws AppError for every result other than found or absent.
 */
export async function readSingle(
  session: Session,
  key: string,
  version: Version | undefined,
  signal: AbortSignal | undefined,
): Promise<ReadResult> {
  try {
    return await getSecretValue(session, key, version, signal);
  } catch (failure) {
    if (isNotFound(failure)) return explainNotFound(session, key, version, signal);
    if (isType(failure, BAD_STATE)) throw await badState(session, key, signal);
    if (isType(failure, ...INVALID_INPUT_TYPES)) {
      throw new AppError('CONFIG_INVALID', { detail: 'AWS rejects this key or version' });
    }
    return asStoreError(Promise.reject(failure));
  }
}

async function getSecretValue(
  session: Session,
  key: string,
  version: Version | undefined,
  signal: AbortSignal | undefined,
): Promise<ReadResult> {
  const input = {
    SecretId: key,
    // Name the current stage in the request, because a policy may allow only requests that name it.
    ...(version?.kind === 'id' ? { VersionId: version.id } : { VersionStage: version?.stage ?? CURRENT }),
  };
  const answer = await session.call(
    'read',
    (client, options) => client.send(new GetSecretValueCommand(input), options),
    signal,
  );
  if (!matchesKey(key, answer)) throw badAnswer('a different secret than requested');
  if (version?.kind === 'id' && answer.VersionId !== version.id)
    throw badAnswer('a different version than requested');
  return toResult(answer);
}

/** Finds out what a "not found" response means: a missing secret, a missing version, or a secret without a value. */
async function explainNotFound(
  session: Session,
  key: string,
  version: Version | undefined,
  signal: AbortSignal | undefined,
): Promise<ReadResult> {
  if (version === undefined) return proveAbsence(session, key, signal);
  if (version.kind === 'stage' && mayBeId(version.stage))
    return readSingle(session, key, { kind: 'id', id: version.stage }, signal);
  throw new AppError('VERSION_GONE');
}

/**
 * Proves that a secret is absent: AWS must also have no description of it. A secret keeps its description even if all
 * its values are gone. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html
 * @throws AppError
 */
export async function proveAbsence(
  session: Session,
  key: string,
  signal: AbortSignal | undefined,
): Promise<ReadResult> {
  let description: Description;
  try {
    description = await describe(session, key, signal);
  } catch (failure) {
    if (isNotFound(failure)) return absentUnlessPartial(session, key, signal);
    if (isDenied(failure)) {
      throw deniedCheck('it has no value, and we are not allowed to check whether it exists', failure);
    }
    return asStoreError(Promise.reject(failure));
  }
  if (description.isDeleted) throw new AppError('SOURCE_DELETED');
  // Either the secret was created between the two requests, or not all AWS servers know it yet.
  if (description.current !== undefined) throw badAnswer('a description of a secret that was not found');
  throw new AppError('VERSION_GONE', { detail: 'the secret has no current version' });
}

/**
 * If the name of a secret ends with a hyphen and six characters, AWS does not find the secret by an incomplete ARN. So
 * this function also asks for the secret by its name.
 * @throws AppError CONFIG_INVALID if the key is such an ARN, and the secret exists.
 */
async function absentUnlessPartial(
  session: Session,
  key: string,
  signal: AbortSignal | undefined,
): Promise<ReadResult> {
  const name = ambiguousName(key);
  if (name === undefined) return { kind: 'absent' };
  let arn: string;
  try {
    ({ arn } = await describe(session, name, signal));
  } catch (failure) {
    if (isNotFound(failure)) return { kind: 'absent' };
    if (!isDenied(failure)) return asStoreError(Promise.reject(failure));
    throw new AppError('ACCESS_DENIED', {
      detail:
        'the ARN may lack its last six characters, and we are not allowed to look for the name: allow secretsmanager:DescribeSecret',
    });
  }
  if (!matchesKey(key, { ARN: arn })) return { kind: 'absent' };
  throw new AppError('CONFIG_INVALID', {
    detail: 'AWS needs the complete ARN here, because the name ends like an ARN',
    remedy: 'Use the complete ARN with its last six characters, or the name of the secret, as `key`.',
  });
}

/** @returns The error for a secret whose state prevents reading. */
export async function badState(
  session: Session,
  key: string,
  signal: AbortSignal | undefined,
): Promise<AppError> {
  try {
    const { isDeleted } = await describe(session, key, signal);
    return isDeleted
      ? new AppError('SOURCE_DELETED')
      : badAnswer('the state of the secret prevents reading it');
  } catch (failure) {
    if (isDenied(failure)) {
      return deniedCheck('its state prevents reading it, and we are not allowed to check why', failure);
    }
    return asStoreError(Promise.reject(failure));
  }
}

function deniedCheck(problem: string, failure: AwsFailure): AppError {
  const detail = withRegion(`${problem}: allow secretsmanager:DescribeSecret`, failure);
  return new AppError('ACCESS_DENIED', detail === undefined ? {} : { detail });
}

/**
 * Whether the secret is missing. AWS must have sent a status that it uses for missing secrets (400; emulators: 404). A
 * failure of the server must not count as absence.
 */
function isNotFound(thrown: unknown): boolean {
  return isType(thrown, 'ResourceNotFoundException') && (thrown.status === 400 || thrown.status === 404);
}

export interface Description {
  readonly arn: string;
  readonly isDeleted: boolean;
  /** The version with the label AWSCURRENT. */
  readonly current: CurrentVersion | undefined;
  readonly tags: Tags | undefined;
}

/** The current version of a secret in a list or a description. */
export interface CurrentVersion {
  readonly version: string;
  /**
   * The time of the last change to the secret. The version itself may be older. Its exact time is only in a response
   * with the value.
   */
  readonly createdAt?: number;
  /** As in `ReadResult`. */
  readonly expiresAt?: number | null;
}

type Tags = readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[];

/** Returns when a secret expires according to its tags. */
export function expiryIn(tags: Tags | undefined, { expiryTag }: Pick<AwsConfig, 'expiryTag'>) {
  const named = Array.isArray(tags) ? (tags as Tags).find((tag) => tag?.Key === expiryTag) : undefined;
  return expiresAtText(typeof named?.Value === 'string' ? named.Value : undefined);
}

/** @throws AwsFailure, AppError */
export async function describe(
  session: Session,
  key: string,
  signal: AbortSignal | undefined,
): Promise<Description> {
  const answer = await session.call(
    'describe',
    (client, options) => client.send(new DescribeSecretCommand({ SecretId: key }), options),
    signal,
  );
  if (!matchesKey(key, answer)) throw badAnswer('a different secret than requested');
  return {
    arn: answer.ARN ?? '',
    isDeleted: answer.DeletedDate !== undefined,
    current: currentOf(answer.VersionIdsToStages, answer),
    tags: answer.Tags,
  };
}

/** @throws AppError BAD_ANSWER */
export function currentOf(
  stages: Readonly<Record<string, readonly string[]>> | undefined,
  { LastChangedDate: changed }: { readonly LastChangedDate?: Date | undefined },
): CurrentVersion | undefined {
  const versions = Object.entries(stages ?? {});
  if (!versions.every(([, labels]) => Array.isArray(labels)))
    throw badAnswer('versions without their stages');
  const current = versions.filter(([, labels]) => labels.includes(CURRENT));
  const [version] = current[0] ?? [];
  if (version === undefined || current.length > 1) return undefined;
  return { version, ...createdAt(changed) };
}
