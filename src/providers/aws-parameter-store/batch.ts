import { GetParameterCommand, GetParametersCommand, type Parameter } from '@aws-sdk/client-ssm';
import { AppError } from '../../core/errors.ts';
import type { ReadResult } from '../../core/read-result.ts';
import { asObjectList, badAnswer } from '../answer.ts';
import { DENIED_TYPES, isDenied, isType, withRegion } from '../aws/errors.ts';
import { asStoreError } from '../aws/session.ts';
import type { SingleKeys } from '../aws/single-keys.ts';
import { isAbout, type Session, selectorOf, toResult, type Wanted } from './value.ts';

/** The maximum number of parameters in one GetParameters request. */
export const BATCH_SIZE = 10;

const NOT_FOUND_TYPES = ['ParameterNotFound', 'ParameterVersionNotFound'];
/** Errors that one parameter causes, although AWS returns them for the whole request. */
const SINGLE_TYPES = [...DENIED_TYPES, ...NOT_FOUND_TYPES, 'InvalidKeyId', 'ValidationException'];

export interface BatchOptions {
  readonly session: Session;
  /** The keys that make each batch fail, for example because a policy denies access to them. */
  readonly singles: SingleKeys;
  /** Turns an error of one key into the result of this key. */
  readonly settle: (key: string, read: Promise<ReadResult>) => Promise<ReadResult>;
  readonly signal: AbortSignal | undefined;
}

/**
 * Reads up to ten different parameters, in one call if possible. If one parameter makes the call fail, reads each
 * parameter in a call of its own, so that the others do not fail too.
 * https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
 * @returns One result for each parameter, in order.
 */
export async function readBatch(
  wanted: readonly Wanted[],
  options: BatchOptions,
): Promise<readonly ReadResult[]> {
  const { session, settle, signal } = options;
  const resolve = (read: (one: Wanted) => Promise<ReadResult>) =>
    Promise.all(wanted.map((one) => settle(one.key, read(one))));
  const alone = (one: Wanted) => readAlone(one, options);
  if (wanted.length === 1) return resolve(alone);
  let entries: readonly Parameter[];
  try {
    entries = await getParameters(session, wanted, signal);
  } catch (failure) {
    if (isType(failure, ...SINGLE_TYPES)) return resolve(alone);
    // Create a separate error for each key, because an error names its key.
    return resolve(() => asStoreError(Promise.reject(failure)));
  }
  return resolve((one) => resultIn(entries, one, options));
}

async function readAlone(one: Wanted, options: BatchOptions): Promise<ReadResult> {
  const { session, singles, signal } = options;
  let entries: readonly Parameter[] = [];
  try {
    entries = await getParameters(session, [one], signal);
    singles.delete(one.key);
  } catch (failure) {
    if (isType(failure, ...SINGLE_TYPES)) singles.add(one.key);
    if (isType(failure, 'ValidationException'))
      throw new AppError('CONFIG_INVALID', { detail: 'AWS rejects this key or version' });
    if (!isType(failure, ...NOT_FOUND_TYPES)) return asStoreError(Promise.reject(failure));
  }
  return resultIn(entries, one, options);
}

async function resultIn(
  entries: readonly Parameter[],
  one: Wanted,
  { session, signal }: BatchOptions,
): Promise<ReadResult> {
  const entry = entries.find((candidate) => isAbout(one.key, candidate));
  if (entry !== undefined) return toResult(one, entry);
  if (one.version !== undefined) throw new AppError('VERSION_GONE');
  return proveAbsence(session, one, signal);
}

/**
 * Returns the parameters that exist. AWS lists the others as invalid: they do not exist, or their name is malformed.
 * @throws AwsFailure, AppError
 */
export async function getParameters(
  session: Session,
  wanted: readonly Wanted[],
  signal: AbortSignal | undefined,
): Promise<readonly Parameter[]> {
  const input = { Names: wanted.map(selectorOf), WithDecryption: true };
  const answer = await session.call(
    'read',
    (client, options) => client.send(new GetParametersCommand(input), options),
    signal,
  );
  if (answer.Parameters === undefined && answer.InvalidParameters === undefined)
    throw badAnswer('a batch without parameters');
  return asObjectList(answer.Parameters, 'the parameters of a batch');
}

/**
 * Proves that a parameter is absent. In a batch, AWS gives the same answer for a missing parameter and for a malformed
 * name. So AWS must also say "not found" to a request for this parameter alone.
 * https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
 * @returns The value, if the parameter was created between the two requests.
 * @throws AppError
 */
async function proveAbsence(
  session: Session,
  one: Wanted,
  signal: AbortSignal | undefined,
): Promise<ReadResult> {
  const input = { Name: one.key, WithDecryption: true };
  let entry: Parameter | undefined;
  try {
    const answer = await session.call(
      'read',
      (client, options) => client.send(new GetParameterCommand(input), options),
      signal,
    );
    entry = answer.Parameter;
  } catch (failure) {
    // A failure of the server must not count as absence, so the status must be one of a missing parameter (400;
    // emulators: 404).
    if (isType(failure, 'ParameterNotFound') && (failure.status === 400 || failure.status === 404))
      return { kind: 'absent' };
    if (!isDenied(failure) || failure.isKmsDenial) return asStoreError(Promise.reject(failure));
    const problem =
      'it was not found, and we are not allowed to check whether it exists: allow ssm:GetParameter';
    throw new AppError('ACCESS_DENIED', { detail: withRegion(problem, failure) ?? problem });
  }
  if (typeof entry !== 'object' || entry === null) throw badAnswer('a response without its parameter');
  return toResult(one, entry);
}
