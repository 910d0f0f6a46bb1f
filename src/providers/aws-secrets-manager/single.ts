import { DescribeSecretCommand, GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { AppError } from '../../core/errors.ts';
import { badAnswer } from '../answer.ts';
import { createdAt } from '../created-at.ts';
import type { ReadResult } from '../provider.ts';
import { isDenied, isType } from './errors.ts';
import { isAbout, mayBeId, type Version } from './keys.ts';
import { asStoreError, type Session } from './session.ts';
import { toResult } from './value.ts';

/** Also said of secrets that are scheduled for deletion. */
export const BAD_STATE = 'InvalidRequestException';
const CURRENT = 'AWSCURRENT';
const REFUSED_INPUT = ['InvalidParameterException', 'ValidationException'];

/**
 * One secret by itself. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
 * @throws AppError for everything that is neither found nor absent.
 */
export async function readSingle(
  session: Session,
  key: string,
  version: Version | undefined,
  signal: AbortSignal | undefined,
): Promise<ReadResult> {
  try {
    return await get(session, key, version, signal);
  } catch (failure) {
    if (isNotFound(failure)) return missing(session, key, version, signal);
    if (isType(failure, BAD_STATE)) throw await badState(session, key, signal);
    if (isType(failure, ...REFUSED_INPUT)) {
      throw new AppError('CONFIG_INVALID', { detail: 'AWS does not take this key or version' });
    }
    return asStoreError(Promise.reject(failure));
  }
}

async function get(
  session: Session,
  key: string,
  version: Version | undefined,
  signal: AbortSignal | undefined,
): Promise<ReadResult> {
  const input = {
    SecretId: key,
    // The current one by its name as well: a policy may allow that stage only, and goes by what the request says.
    ...(version?.kind === 'id' ? { VersionId: version.id } : { VersionStage: version?.stage ?? CURRENT }),
  };
  const answer = await session.call(
    'read',
    (client, options) => client.send(new GetSecretValueCommand(input), options),
    signal,
  );
  if (!isAbout(key, answer)) throw badAnswer('another secret than the one asked for');
  if (version?.kind === 'id' && answer.VersionId !== version.id)
    throw badAnswer('another version than the one asked for');
  return toResult(answer);
}

/** AWS says "not found" of a secret, of a version, and of a secret that has no value yet. */
async function missing(
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
 * Absent only when the description, which outlives every value, is not there either.
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html
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
    if (isNotFound(failure)) return { kind: 'absent' };
    if (isDenied(failure)) {
      throw new AppError('ACCESS_DENIED', {
        detail:
          'it has no value, and whether it exists is not ours to know: allow secretsmanager:DescribeSecret',
      });
    }
    return asStoreError(Promise.reject(failure));
  }
  if (description.isDeleted) throw new AppError('SOURCE_DELETED');
  // Made between the two questions, or in another part of the service that does not know of it yet.
  if (description.current !== undefined) throw badAnswer('a description of what it did not find');
  throw new AppError('VERSION_GONE', { detail: 'the secret has no current version' });
}

/** @returns The error that a secret in this state stands for. */
export async function badState(
  session: Session,
  key: string,
  signal: AbortSignal | undefined,
): Promise<AppError> {
  try {
    const { isDeleted } = await describe(session, key, signal);
    return isDeleted
      ? new AppError('SOURCE_DELETED')
      : badAnswer('the state of the secret does not allow to read it');
  } catch (failure) {
    if (isDenied(failure)) {
      return new AppError('ACCESS_DENIED', {
        detail:
          'it cannot be read as it is, and why is not ours to know: allow secretsmanager:DescribeSecret',
      });
    }
    return asStoreError(Promise.reject(failure));
  }
}

/** With a status that AWS gives it (emulators: 404), so that no fault of a server passes for an absence. */
function isNotFound(thrown: unknown): boolean {
  return isType(thrown, 'ResourceNotFoundException') && (thrown.status === 400 || thrown.status === 404);
}

export interface Description {
  readonly isDeleted: boolean;
  /** The version with the label AWSCURRENT. */
  readonly current: Current | undefined;
}

/** As a list or a description tells it. */
export interface Current {
  readonly version: string;
  /** Not before it: when anything of the secret was changed last. Of the version itself only its value tells. */
  readonly createdAt?: number;
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
  if (!isAbout(key, answer)) throw badAnswer('another secret than the one asked for');
  return {
    isDeleted: answer.DeletedDate !== undefined,
    current: currentOf(answer.VersionIdsToStages, answer),
  };
}

/** @throws AppError BAD_ANSWER */
export function currentOf(
  stages: Readonly<Record<string, readonly string[]>> | undefined,
  { LastChangedDate: changed }: { readonly LastChangedDate?: Date | undefined },
): Current | undefined {
  const versions = Object.entries(stages ?? {});
  if (!versions.every(([, labels]) => Array.isArray(labels)))
    throw badAnswer('versions without their stages');
  const current = versions.filter(([, labels]) => labels.includes(CURRENT));
  const [version] = current[0] ?? [];
  if (version === undefined || current.length > 1) return undefined;
  return { version, ...createdAt(changed) };
}
