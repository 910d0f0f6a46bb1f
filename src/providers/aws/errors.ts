import { describeSkew } from '../../core/clock.ts';
import type { ErrorCode } from '../../core/error-codes.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import { badAnswer } from '../answer.ts';
import { fromNetwork as fromAnyNetwork } from '../network-errors.ts';
import type { Settled } from '../provider.ts';
import type { AwsConnection } from './config.ts';
import { hostQuestion } from './regions.ts';

/**
 * An error response. It contains the AWS error type, but never the message. Only the AWS stores use it:
 * `toStoreError` converts it to an AppError.
 */
export class AwsFailure extends Error {
  readonly status: number;
  /**
   * The error type without its namespace, such as `AccessDeniedException`. Undefined if the response does not come from
   * AWS.
   */
  readonly type: string | undefined;
  readonly retryAfterMs: number | undefined;
  /**
   * The difference between our clock and the server's clock, in milliseconds. Positive if our clock is ahead. Undefined
   * if the server did not send its time.
   */
  readonly skewMs: number | undefined;
  /** Whether the KMS key denied access. Only the message of the response shows this. */
  readonly isKmsDenial: boolean;
  /** The region that was asked, if known. */
  readonly region: string | undefined;

  constructor(status: number, type: string | undefined, more: FailureDetails = {}) {
    super(`status ${status}`);
    this.name = 'AwsFailure';
    this.status = status;
    this.type = type;
    this.retryAfterMs = more.retryAfterMs;
    this.skewMs = more.skewMs;
    this.isKmsDenial = more.isKmsDenial ?? false;
    this.region = more.region;
  }
}

interface FailureDetails {
  readonly retryAfterMs?: number | undefined;
  readonly skewMs?: number | undefined;
  readonly isKmsDenial?: boolean;
  readonly region?: string;
}

type Meaning = readonly [ErrorCode, detail?: string];

const EXPIRED: Meaning = ['AUTH_FAILED', 'the session token has expired'];
const UNKNOWN_KEY: Meaning = [
  'AUTH_FAILED',
  'AWS does not know the access key, the session token is invalid, or the account has not enabled the region',
];
const SIGNATURE: Meaning = ['AUTH_FAILED', 'the signature does not match; is the secret access key correct?'];
const THROTTLED: Meaning = ['THROTTLED'];
const INTERNAL: Meaning = ['STORE_UNAVAILABLE', 'AWS reported an internal error'];
const DENIED: Meaning = ['ACCESS_DENIED'];
const KMS: Meaning = ['ACCESS_DENIED', 'its KMS key does not allow us to decrypt it'];

/**
 * The meaning of each AWS error type. The type decides, because AWS uses status 400 for nearly all errors and may
 * change its messages. https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html,
 * https://docs.aws.amazon.com/systems-manager/latest/APIReference/CommonErrors.html and each operation's page;
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
  MissingAuthenticationToken: ['AUTH_FAILED', 'AWS received no signature; does a proxy remove headers?'],
  MissingAuthenticationTokenException: [
    'AUTH_FAILED',
    'AWS received no signature; does a proxy remove headers?',
  ],
  InvalidIdentityToken: ['AUTH_FAILED', 'AWS does not accept the web identity token'],
  IDPRejectedClaim: ['AUTH_FAILED', 'the identity provider does not accept the web identity token'],
  AccessDeniedException: DENIED,
  AccessDenied: DENIED,
  UnauthorizedOperation: DENIED,
  NotAuthorized: DENIED,
  ValidationError: ['CONFIG_INVALID', 'AWS rejects the parameters of the role to assume'],
  PackedPolicyTooLarge: ['CONFIG_INVALID', 'the session tags are too long in total'],
  OptInRequired: ['ACCESS_DENIED', 'the region or the service is not enabled for this account'],
  RegionDisabledException: ['ACCESS_DENIED', 'STS is not activated in this region'],
  DecryptionFailure: KMS,
  EncryptionFailure: KMS,
  InvalidKeyId: KMS,
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
  InternalServerError: INTERNAL,
  ServiceUnavailable: INTERNAL,
  ServiceUnavailableException: INTERNAL,
  IDPCommunicationError: ['STORE_UNAVAILABLE', 'AWS cannot reach the identity provider'],
  RequestTimeout: ['TIMEOUT'],
  RequestTimeoutException: ['TIMEOUT'],
};

/**
 * AWS rejects requests if the clocks differ by more than five minutes. This limit is smaller, because a request may be
 * delayed.
 */
const SKEW_LIMIT_MS = 240_000;

export function fromFailure(failure: AwsFailure): AppError {
  const { status, type, retryAfterMs, skewMs = 0, isKmsDenial } = failure;
  const meaning = meaningOf(type) ?? byStatus(status);
  const [code, detail] = meaning === DENIED && isKmsDenial ? KMS : meaning;
  const isSkew = type !== undefined && BY_NAME[type] === SIGNATURE && Math.abs(skewMs) > SKEW_LIMIT_MS;
  const text = isSkew ? describeSkew(skewMs, "the store's") : detail;
  const isPolicyDenial = meaning === DENIED && !isKmsDenial;
  const shown = isPolicyDenial || meaning === UNKNOWN_KEY ? withRegion(text, failure) : text;
  return new AppError(code, {
    ...(shown === undefined ? {} : { detail: shown }),
    ...(isPolicyDenial ? { remedy: DENIED_REMEDY } : {}),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

const DENIED_REMEDY =
  'Grant the identity of secretbridge access in this region with an IAM policy, or correct `key` or `region`.';

/**
 * Adds the region that was asked to the detail of an error. Policies often name a region, so a wrong region looks like a
 * missing permission.
 */
export function withRegion(detail: string | undefined, { region }: AwsFailure): string | undefined {
  const place = region === undefined ? undefined : `asked in region ${region}`;
  return [detail, place].filter((part) => part !== undefined).join('; ') || undefined;
}

/** Converts the error of one secret in a batch. The batch itself has HTTP status 200. */
export function fromItemError(type: string): AppError {
  return fromFailure(new AwsFailure(400, type));
}

function meaningOf(type: string | undefined): Meaning | undefined {
  return type !== undefined && Object.hasOwn(BY_NAME, type) ? BY_NAME[type] : undefined;
}

function byStatus(status: number): Meaning {
  if (status === 401) return ['AUTH_FAILED', 'status 401'];
  if (status === 403)
    return ['ACCESS_DENIED', 'status 403 without a reason from AWS; is there a proxy in between?'];
  if (status === 429) return THROTTLED;
  if (status >= 500) return ['STORE_UNAVAILABLE', `status ${status}`];
  if (status >= 300 && status < 400)
    return ['BAD_ANSWER', 'it sent a redirect, and redirects are not followed'];
  return ['BAD_ANSWER', `status ${status}`];
}

/**
 * Whether AWS refused the credentials because they are wrong or have expired. The call may succeed with other
 * credentials.
 */
export function isAuthFailure(thrown: unknown): thrown is AwsFailure {
  return thrown instanceof AwsFailure && meaningOf(thrown.type)?.[0] === 'AUTH_FAILED';
}

export function isType(thrown: unknown, ...types: readonly string[]): thrown is AwsFailure {
  return thrown instanceof AwsFailure && thrown.type !== undefined && types.includes(thrown.type);
}

/** The error type for a denied call: the first one is from the stores, the second one from STS. */
export const DENIED_TYPES = ['AccessDeniedException', 'AccessDenied'];

/** Whether a policy denied the call. A denial proves that connection and login work. */
export function isDenied(thrown: unknown): thrown is AwsFailure {
  return isType(thrown, ...DENIED_TYPES);
}

/** The error types of emulators and compatible services that do not have the requested operation. */
export const UNSUPPORTED_TYPES = ['UnknownOperationException', 'UnknownOperation'];

/**
 * Converts any error of the SDK. The SDK's own errors contain the whole response (`$response`), so only their name is
 * kept.
 */
export function toStoreError(thrown: unknown): unknown {
  if (thrown instanceof AppError) return thrown;
  if (thrown instanceof AwsFailure) return fromFailure(thrown);
  if (!(thrown instanceof Error)) return thrown;
  const cause = new Error(thrown.name);
  if (thrown.name === 'EndpointError') {
    return new AppError('CONFIG_INVALID', { detail: 'there is no endpoint for this region', cause });
  }
  if ('$response' in thrown || thrown.name === 'CredentialsProviderError') {
    return badAnswer('it does not match the operation', cause);
  }
  return thrown;
}

/** Error types that concern a single secret or parameter. A working service returns them too. */
const SECRET_TYPES = [
  'ResourceNotFoundException',
  'ParameterNotFound',
  'ParameterVersionNotFound',
  'InvalidKeyId',
  'InvalidRequestException',
  'InvalidParameterException',
  'ValidationException',
];

/**
 * Returns the error if the result of a call shows a problem of the whole service. Returns undefined if it shows no such
 * problem.
 */
export function failureOf(ended: Settled<unknown>): AppError | undefined {
  if (!('error' in ended) || isType(ended.error, ...SECRET_TYPES)) return undefined;
  return toAppError(toStoreError(ended.error));
}

/**
 * Converts a connection error to an AppError. Host names contain the region, so a failed DNS lookup may mean a wrong
 * region.
 */
export function fromNetwork(thrown: unknown, config: Pick<AwsConnection, 'region' | 'endpoint'>): AppError {
  return fromAnyNetwork(thrown, { unresolved: hostQuestion(config), notTls: 'is its address `http`?' });
}
