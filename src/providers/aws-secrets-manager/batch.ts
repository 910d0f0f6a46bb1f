import { BatchGetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { badAnswer } from '../answer.ts';
import type { ReadResult } from '../provider.ts';
import { fromItemError, isType, NOT_ALLOWED, NOT_THERE } from './errors.ts';
import { objectsIn } from './form.ts';
import { pick } from './keys.ts';
import { asStoreError, type Session } from './session.ts';
import { BAD_STATE, badState, proveAbsence, readSingle } from './single.ts';
import { type SecretEntry, toResult } from './value.ts';

/** The most that one call takes; LocalStack and moto take more. */
export const BATCH_SIZE = 20;

/** Whether BatchGetSecretValue can be used, as far as is known. */
export interface BatchState {
  isUsable: boolean;
  /** Whether a key is read by itself alone: a batch did not give it, and a plain read did. */
  isAlone(key: string): boolean;
  leaveOut(key: string): void;
}

/** A permission that was given is noticed after this time. */
const REFUSED_MS = 3_600_000;
/** Of keys that are remembered to be read alone. */
const MOST = 10_000;

export function createBatchState(clock: Clock): BatchState {
  let refusedAt = Number.NEGATIVE_INFINITY;
  // In the order in which they were found.
  const alone = new Map<string, number>();
  const isPast = (at: number): boolean => Math.abs(clock.now() - at) >= REFUSED_MS;
  return {
    isAlone: (key) => !isPast(alone.get(key) ?? Number.NEGATIVE_INFINITY),
    leaveOut(key) {
      alone.delete(key);
      alone.set(key, clock.now());
      for (const [oldest, at] of alone) {
        if (alone.size <= MOST && !isPast(at)) break;
        alone.delete(oldest);
      }
    },
    get isUsable() {
      return isPast(refusedAt);
    },
    set isUsable(usable) {
      refusedAt = usable ? Number.NEGATIVE_INFINITY : clock.now();
    },
  };
}

/** AWS did not let us use the operation at all, or does not have it. */
const NOT_OURS = [...NOT_ALLOWED, ...NOT_THERE];
/** What can only be about one of the secrets, though the whole call failed. */
const OF_ONE = [
  'InvalidParameterException',
  'ValidationException',
  BAD_STATE,
  'ResourceNotFoundException',
  'DecryptionFailure',
];

type Settle = (key: string, result: Promise<ReadResult>) => Promise<ReadResult>;

/**
 * The current versions of up to twenty different keys, in one call where that is allowed.
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
 * @param settle Turns an error of one key into its result.
 * @throws AppError for what concerns all of them.
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
  // One alone costs a call either way, and the plain operation needs one permission less.
  if (!state.isUsable || keys.length === 1) return resolve(single);
  let answer: Answer;
  try {
    answer = await askForAll(session, keys, signal);
  } catch (failure) {
    if (isType(failure, ...NOT_OURS)) state.isUsable = false;
    else if (!isType(failure, ...OF_ONE)) return asStoreError(Promise.reject(failure));
    return resolve(single);
  }
  return resolve(async (key) => {
    const found = pick(key, answer.values);
    if (found !== undefined) return toResult(found);
    const error = answer.errors.get(key);
    // Some emulators leave out what they do not have.
    if (error === undefined) return single(key);
    if (!NOT_ALLOWED.includes(error)) return itemResult(session, key, error, signal);
    // A policy may allow the current stage only, which a batch cannot name. One that is denied so as well stays in the
    // batch, so that it is seen at once when it is allowed.
    const result = await single(key);
    state.leaveOut(key);
    return result;
  });
}

interface Answer {
  readonly values: readonly SecretEntry[];
  /** Key to the name of its error. */
  readonly errors: ReadonlyMap<string, string>;
}

/** @throws AwsFailure, AppError */
export async function askForAll(
  session: Session,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const values: SecretEntry[] = [];
  const errors = new Map<string, string>();
  let token: string | undefined;
  // AWS may give less than all at a time; a page without anything new would go on for ever.
  for (let page = 0; page < keys.length; page += 1) {
    const input = { SecretIdList: [...keys], ...(token === undefined ? {} : { NextToken: token }) };
    const answer = await session.call(
      'read',
      (client, options) => client.send(new BatchGetSecretValueCommand(input), options),
      signal,
    );
    if (answer.SecretValues === undefined && answer.Errors === undefined)
      throw badAnswer('a batch without values and errors');
    values.push(...objectsIn(answer.SecretValues, 'the secrets of a batch'));
    for (const { SecretId: key, ErrorCode: code } of objectsIn(answer.Errors, 'the errors of a batch'))
      if (key !== undefined && code !== undefined) errors.set(key, code);
    token = answer.NextToken;
    if (token === undefined) break;
  }
  return { values, errors };
}

/** Each comes with HTTP status 200. @throws AppError */
async function itemResult(
  session: Session,
  key: string,
  code: string,
  signal: AbortSignal | undefined,
): Promise<ReadResult> {
  if (code === 'ResourceNotFoundException') return proveAbsence(session, key, signal);
  if (code === BAD_STATE) throw await badState(session, key, signal);
  if (code === 'InvalidParameterException')
    throw new AppError('CONFIG_INVALID', { detail: 'AWS does not take this key' });
  throw fromItemError(code);
}
