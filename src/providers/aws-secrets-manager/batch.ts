import { BatchGetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { append } from '../../core/lists.ts';
import type { ReadResult } from '../../core/read-result.ts';
import { asObjectList, badAnswer } from '../answer.ts';
import { DENIED_TYPES, fromItemError, isType, UNSUPPORTED_TYPES } from '../aws/errors.ts';
import { asStoreError } from '../aws/session.ts';
import { createSingleKeys, RECHECK_MS } from '../aws/single-keys.ts';
import { findEntry } from './keys.ts';
import { BAD_STATE, badState, proveAbsence, readSingle } from './single.ts';
import { type SecretEntry, type Session, toResult } from './value.ts';

/** The maximum number of secrets in one request to AWS. LocalStack and moto accept more. */
export const BATCH_SIZE = 20;

/** Remembers whether BatchGetSecretValue can be used, and which keys it cannot read. */
export interface BatchState {
  isUsable: boolean;
  /**
   * Whether this key needs a request of its own. This is the case if a batch request for the key was denied, and a
   * request for this key alone then succeeded.
   */
  isReadSingly(key: string): boolean;
  readSingly(key: string): void;
}

export function createBatchState(clock: Clock): BatchState {
  let refusedAt = Number.NEGATIVE_INFINITY;
  const singleKeys = createSingleKeys(clock);
  return {
    isReadSingly: (key) => singleKeys.has(key),
    readSingly: (key) => singleKeys.add(key),
    get isUsable() {
      return Math.abs(clock.now() - refusedAt) >= RECHECK_MS;
    },
    set isUsable(usable) {
      refusedAt = usable ? Number.NEGATIVE_INFINITY : clock.now();
    },
  };
}

/** The errors for a BatchGetSecretValue request that is not allowed, or that the service does not support. */
const UNAVAILABLE_TYPES = [...DENIED_TYPES, ...UNSUPPORTED_TYPES];
/** Errors that one secret causes, although AWS returns them for the whole call. */
const SINGLE_SECRET_TYPES = [
  'InvalidParameterException',
  'ValidationException',
  BAD_STATE,
  'ResourceNotFoundException',
  'DecryptionFailure',
];

type Settle = (key: string, result: Promise<ReadResult>) => Promise<ReadResult>;

/**
 * Reads the current versions of up to twenty different keys, in one call if possible.
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
 * @param settle Turns an error of one key into the result of this key.
 * @throws AppError for errors that concern all keys.
 */
export async function readBatch(
  session: Session,
  state: BatchState,
  keys: readonly string[],
  { settle, signal }: { readonly settle: Settle; readonly signal: AbortSignal | undefined },
): Promise<ReadonlyMap<string, ReadResult>> {
  const resolve = async (ask: (key: string) => Promise<ReadResult>) =>
    new Map(await Promise.all(keys.map(async (key) => [key, await settle(key, ask(key))] as const)));
  const single = (key: string) => readSingle(session, key, undefined, signal);
  // A batch with a single key saves no call, and needs one permission more than GetSecretValue.
  if (!state.isUsable || keys.length === 1) return resolve(single);
  let answer: Answer;
  try {
    answer = await getBatch(session, keys, signal);
  } catch (failure) {
    if (isType(failure, ...UNAVAILABLE_TYPES)) state.isUsable = false;
    else if (!isType(failure, ...SINGLE_SECRET_TYPES)) return asStoreError(Promise.reject(failure));
    return resolve(single);
  }
  return resolve(async (key) => {
    const entry = findEntry(key, answer.values);
    if (entry !== undefined) return toResult(entry);
    const error = answer.errors.get(key);
    // Some emulators leave missing secrets out of the response. A single read finds out whether the secret is missing.
    if (error === undefined) return single(key);
    if (!DENIED_TYPES.includes(error)) return itemResult(session, key, error, signal);
    // A policy may allow reads of the current stage only, but a batch request cannot name a stage. If the single read
    // fails too, the key stays in batches, so that a new permission is noticed.
    const result = await single(key);
    state.readSingly(key);
    return result;
  });
}

interface Answer {
  readonly values: readonly SecretEntry[];
  /** The error type for each failed key. */
  readonly errors: ReadonlyMap<string, string>;
}

/** @throws AwsFailure, AppError */
export async function getBatch(
  session: Session,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const values: SecretEntry[] = [];
  const errors = new Map<string, string>();
  let token: string | undefined;
  // AWS may return the batch in several pages. The limit ends a loop over pages that contain no new secrets.
  for (let page = 0; page < keys.length; page += 1) {
    const input = { SecretIdList: [...keys], ...(token === undefined ? {} : { NextToken: token }) };
    const answer = await session.call(
      'read',
      (client, options) => client.send(new BatchGetSecretValueCommand(input), options),
      signal,
    );
    if (answer.SecretValues === undefined && answer.Errors === undefined)
      throw badAnswer('a batch without values and errors');
    append(values, asObjectList(answer.SecretValues, 'the secrets of a batch'));
    for (const { SecretId: key, ErrorCode: code } of asObjectList(answer.Errors, 'the errors of a batch'))
      if (key !== undefined && code !== undefined) errors.set(key, code);
    token = answer.NextToken;
    if (token === undefined) break;
  }
  return { values, errors };
}

/** Returns the result for a key that failed in a successful batch (HTTP status 200). @throws AppError */
async function itemResult(
  session: Session,
  key: string,
  code: string,
  signal: AbortSignal | undefined,
): Promise<ReadResult> {
  if (code === 'ResourceNotFoundException') return proveAbsence(session, key, signal);
  if (code === BAD_STATE) throw await badState(session, key, signal);
  if (code === 'InvalidParameterException')
    throw new AppError('CONFIG_INVALID', { detail: 'AWS rejects this key' });
  throw fromItemError(code);
}
