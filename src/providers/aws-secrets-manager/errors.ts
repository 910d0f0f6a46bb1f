import type { ErrorCode } from '../../core/error-codes.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import { describeSkew } from '../../core/skew.ts';
import { badAnswer } from '../answer.ts';
import type { Ended } from '../provider.ts';

/**
 * An answer that is no success: what AWS called it, and never its message. Stays inside this folder: whoever knows
 * what was asked makes an AppError of it.
 */
export class AwsFailure extends Error {
  readonly status: number;
  /** The name of the error without namespace, such as `AccessDeniedException`; undefined: not an answer of AWS. */
  readonly type: string | undefined;
  readonly retryAfterMs: number | undefined;
  /** How far the clock here is ahead of the server's, milliseconds; undefined if it did not tell its time. */
  readonly skewMs: number | undefined;
  /** Whether it is the KMS key that refuses, which AWS says of a denial in its message alone. */
  readonly isOfKey: boolean;

  constructor(status: number, type: string | undefined, more: FailureDetails = {}) {
    super(`status ${status}`);
    this.name = 'AwsFailure';
    this.status = status;
    this.type = type;
    this.retryAfterMs = more.retryAfterMs;
    this.skewMs = more.skewMs;
    this.isOfKey = more.isOfKey ?? false;
  }
}

interface FailureDetails {
  readonly retryAfterMs?: number | undefined;
  readonly skewMs?: number | undefined;
  readonly isOfKey?: boolean;
}

type Meaning = readonly [ErrorCode, detail?: string];

const EXPIRED: Meaning = ['AUTH_FAILED', 'the session token has ended'];
const UNKNOWN_KEY: Meaning = [
  'AUTH_FAILED',
  'AWS does not know the access key, or the session token is invalid',
];
const SIGNATURE: Meaning = [
  'AUTH_FAILED',
  'the signature does not match: is the secret access key the right one?',
];
const THROTTLED: Meaning = ['THROTTLED'];
const INTERNAL: Meaning = ['STORE_UNAVAILABLE', 'an internal error of AWS'];
const DENIED: Meaning = ['ACCESS_DENIED'];
const KMS: Meaning = ['ACCESS_DENIED', 'its KMS key does not let us decrypt it'];

/**
 * By the name of the error, since AWS answers nearly everything with status 400 and its messages are no contract.
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html and each operation's page;
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
 */
const BY_NAME: Readonly<Record<string, Meaning>> = {
  ExpiredTokenException: EXPIRED,
  ExpiredToken: EXPIRED,
  UnrecognizedClientException: UNKNOWN_KEY,
  InvalidClientTokenId: UNKNOWN_KEY,
  InvalidAccessKeyId: UNKNOWN_KEY,
  InvalidSignatureException: SIGNATURE,
  SignatureDoesNotMatch: SIGNATURE,
  RequestExpired: SIGNATURE,
  RequestTimeTooSkewed: SIGNATURE,
  IncompleteSignature: SIGNATURE,
  IncompleteSignatureException: SIGNATURE,
  MissingAuthenticationToken: ['AUTH_FAILED', 'AWS saw no signature; does a proxy take headers away?'],
  MissingAuthenticationTokenException: [
    'AUTH_FAILED',
    'AWS saw no signature; does a proxy take headers away?',
  ],
  InvalidIdentityToken: ['AUTH_FAILED', 'AWS does not accept the web identity token'],
  IDPRejectedClaim: ['AUTH_FAILED', 'the identity provider does not accept the web identity token'],
  AccessDeniedException: DENIED,
  AccessDenied: DENIED,
  UnauthorizedOperation: DENIED,
  NotAuthorized: DENIED,
  ValidationError: ['CONFIG_INVALID', 'AWS does not take what the role is to be assumed with'],
  PackedPolicyTooLarge: ['CONFIG_INVALID', 'the tags of the session are too long together'],
  OptInRequired: ['ACCESS_DENIED', 'the region or the service is not enabled for this account'],
  RegionDisabledException: ['ACCESS_DENIED', 'STS is not activated in this region'],
  DecryptionFailure: KMS,
  EncryptionFailure: KMS,
  ThrottlingException: THROTTLED,
  Throttling: THROTTLED,
  ThrottledException: THROTTLED,
  RequestThrottled: THROTTLED,
  RequestThrottledException: THROTTLED,
  TooManyRequestsException: THROTTLED,
  RequestLimitExceeded: THROTTLED,
  LimitExceededException: THROTTLED,
  BandwidthLimitExceeded: THROTTLED,
  SlowDown: THROTTLED,
  InternalServiceError: INTERNAL,
  InternalServiceErrorException: INTERNAL,
  InternalFailure: INTERNAL,
  ServiceUnavailable: INTERNAL,
  ServiceUnavailableException: INTERNAL,
  IDPCommunicationError: ['STORE_UNAVAILABLE', 'AWS does not reach the identity provider'],
  RequestTimeout: ['TIMEOUT'],
  RequestTimeoutException: ['TIMEOUT'],
};

/** AWS refuses requests that are more than five minutes old or ahead. */
const SKEW_LIMIT_MS = 240_000;

export function fromFailure({ status, type, retryAfterMs, skewMs = 0, isOfKey }: AwsFailure): AppError {
  const meaning = named(type) ?? byStatus(status);
  const [code, detail] = meaning === DENIED && isOfKey ? KMS : meaning;
  const isSkew = type !== undefined && BY_NAME[type] === SIGNATURE && Math.abs(skewMs) > SKEW_LIMIT_MS;
  return new AppError(code, {
    ...(isSkew ? { detail: describeSkew(skewMs, "the store's") } : detail === undefined ? {} : { detail }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** An error of one item of a batch, which comes with HTTP status 200. */
export function fromItemError(type: string): AppError {
  return fromFailure(new AwsFailure(400, type));
}

function named(type: string | undefined): Meaning | undefined {
  return type !== undefined && Object.hasOwn(BY_NAME, type) ? BY_NAME[type] : undefined;
}

function byStatus(status: number): Meaning {
  if (status === 401) return ['AUTH_FAILED', 'status 401'];
  if (status === 403)
    return ['ACCESS_DENIED', 'status 403, without a reason of AWS: is there a proxy in between?'];
  if (status === 429) return THROTTLED;
  if (status >= 500) return ['STORE_UNAVAILABLE', `status ${status}`];
  if (status >= 300 && status < 400) return ['BAD_ANSWER', 'it redirects, and redirects are not followed'];
  return ['BAD_ANSWER', `status ${status}`];
}

/** Whether other credentials might be accepted: these have ended, or are not, or no longer, the right ones. */
export function isRefusal(thrown: unknown): thrown is AwsFailure {
  return thrown instanceof AwsFailure && named(thrown.type)?.[0] === 'AUTH_FAILED';
}

export function isType(thrown: unknown, ...types: readonly string[]): thrown is AwsFailure {
  return thrown instanceof AwsFailure && thrown.type !== undefined && types.includes(thrown.type);
}

/** Secrets Manager and STS name it differently. */
export const NOT_ALLOWED = ['AccessDeniedException', 'AccessDenied'];

/** Whether no policy allows the call, which says that everything before it works. */
export function isDenied(thrown: unknown): thrown is AwsFailure {
  return isType(thrown, ...NOT_ALLOWED);
}

/** Emulators and other services of this protocol do not have every operation. */
export const NOT_THERE = ['UnknownOperationException', 'UnknownOperation'];

/**
 * Whatever the SDK threw, as an error of ours. Its own errors carry the whole answer (`$response`), so nothing of
 * them is kept but the name.
 */
export function toStoreError(thrown: unknown): unknown {
  if (thrown instanceof AppError) return thrown;
  if (thrown instanceof AwsFailure) return fromFailure(thrown);
  if (!(thrown instanceof Error)) return thrown;
  const cause = new Error(thrown.name);
  if (thrown.name === 'EndpointError') {
    return new AppError('CONFIG_INVALID', { detail: 'there is no such address for this region', cause });
  }
  if ('$response' in thrown || thrown.name === 'CredentialsProviderError') {
    return badAnswer('it has not the form of its operation', cause);
  }
  return thrown;
}

/** What AWS says of one secret, which is an answer like any other. */
const OF_ONE = [
  'ResourceNotFoundException',
  'InvalidRequestException',
  'InvalidParameterException',
  'ValidationException',
];

/** What the end of a call says of AWS as a whole. */
export function failureOf(ended: Ended<unknown>): AppError | undefined {
  if (!('error' in ended) || isType(ended.error, ...OF_ONE)) return undefined;
  return toAppError(toStoreError(ended.error));
}
