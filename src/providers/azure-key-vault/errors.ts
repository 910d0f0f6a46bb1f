import type { ErrorCode } from '../../core/error-codes.ts';
import { AppError } from '../../core/errors.ts';
import { type Answer, badAnswer, jsonOf, member, textOf } from './answer.ts';

const UNKNOWN_ISSUER = 'the issuer of its certificate is not trusted';
const LOST = 'the connection was closed before the answer was whole';
const NO_ROUTE = 'there is no route to it';

/** Codes of Node and OpenSSL. What is not listed is STORE_UNAVAILABLE: it may mend itself. */
const NETWORK: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOTFOUND: ['STORE_UNAVAILABLE', 'its name cannot be resolved (DNS)'],
  EAI_AGAIN: ['STORE_UNAVAILABLE', 'its name cannot be resolved at the moment (DNS)'],
  ECONNREFUSED: ['STORE_UNAVAILABLE', 'the connection was refused'],
  ECONNRESET: ['STORE_UNAVAILABLE', LOST],
  EPIPE: ['STORE_UNAVAILABLE', LOST],
  HPE_INVALID_EOF_STATE: ['STORE_UNAVAILABLE', LOST],
  ERR_STREAM_PREMATURE_CLOSE: ['STORE_UNAVAILABLE', LOST],
  EHOSTUNREACH: ['STORE_UNAVAILABLE', NO_ROUTE],
  ENETUNREACH: ['STORE_UNAVAILABLE', NO_ROUTE],
  ETIMEDOUT: ['TIMEOUT', 'the connection could not be made in time'],
  HPE_HEADER_OVERFLOW: ['BAD_ANSWER', 'its headers are too large'],
  ERR_TLS_CERT_ALTNAME_INVALID: ['TLS_FAILED', 'its certificate is for another name'],
  CERT_HAS_EXPIRED: ['TLS_FAILED', 'its certificate has expired, or the clock here is wrong'],
  CERT_NOT_YET_VALID: ['TLS_FAILED', 'its certificate is not valid yet, or the clock here is wrong'],
  CERT_REVOKED: ['TLS_FAILED', 'its certificate is revoked'],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ['TLS_FAILED', UNKNOWN_ISSUER],
  UNABLE_TO_GET_ISSUER_CERT: ['TLS_FAILED', UNKNOWN_ISSUER],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ['TLS_FAILED', UNKNOWN_ISSUER],
  SELF_SIGNED_CERT_IN_CHAIN: ['TLS_FAILED', UNKNOWN_ISSUER],
  DEPTH_ZERO_SELF_SIGNED_CERT: ['TLS_FAILED', UNKNOWN_ISSUER],
  CERT_SIGNATURE_FAILURE: ['TLS_FAILED', UNKNOWN_ISSUER],
  CERT_UNTRUSTED: ['TLS_FAILED', UNKNOWN_ISSUER],
  ERR_SSL_WRONG_VERSION_NUMBER: ['TLS_FAILED', 'it does not speak TLS'],
  ERR_SSL_PACKET_LENGTH_TOO_LONG: ['TLS_FAILED', 'it does not speak TLS'],
  EPROTO: ['TLS_FAILED', 'the handshake failed'],
};

/**
 * What the connection did, as an error of ours. The thrown object is not kept, since a parser's error carries
 * the bytes of the answer.
 */
export function fromNetwork(thrown: unknown): AppError {
  const code = codeOf(thrown);
  const [kind, detail] = NETWORK[code] ?? byFamily(code);
  return new AppError(kind, { detail, cause: new Error(code) });
}

/** `code`, or the first one of several attempts (IPv6, then IPv4). */
function codeOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'UNKNOWN';
  if ('code' in thrown && typeof thrown.code === 'string') return thrown.code;
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return codeOf(thrown.errors[0]);
  return thrown.cause === undefined ? thrown.name : codeOf(thrown.cause);
}

function byFamily(code: string): readonly [ErrorCode, string] {
  if (code.startsWith('HPE_')) return ['BAD_ANSWER', 'it is not HTTP'];
  if (code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_')) {
    return ['TLS_FAILED', 'the handshake failed'];
  }
  return ['STORE_UNAVAILABLE', 'the connection failed'];
}

/**
 * An answer of Key Vault that is no success. It goes through the vendor's client untouched, to whoever asked, since
 * a 404 means one thing for a secret and another for a list.
 */
export class Refusal extends Error {
  readonly status: number;
  /** `error.code` of Key Vault's form; undefined when somebody else answered, such as a proxy. */
  readonly code: string | undefined;
  /** `error.innererror.code`. */
  readonly inner: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(answer: Answer) {
    super(`status ${answer.status}`);
    this.name = 'Refusal';
    const error = member(jsonOf(answer), 'error');
    this.status = answer.status;
    this.code = textOf(member(error, 'code'));
    this.inner = textOf(member(error, 'innererror', 'code'));
    this.retryAfterMs = answer.retryAfterMs;
  }
}

/** Key Vault itself says that it holds no such object: a 404 of a proxy or another service proves nothing. */
export function isNotFound(error: unknown): boolean {
  return error instanceof Refusal && error.status === 404 && /NotFound$/.test(error.code ?? '');
}

/** Inner codes of a 403, with the whole sentence of ours. */
const NOT_ALLOWED: Readonly<Record<string, string>> = {
  ForbiddenByFirewall: 'the firewall of the vault does not let our address in',
  ForbiddenByConnection: 'the vault takes no connections from the public network',
  ForbiddenByRbac: 'no role assignment allows it',
  ForbiddenByPolicy: 'no access policy allows it',
  AccessDenied: 'no access policy allows it',
};

/**
 * Decided by status and codes, never by the text of a message.
 * https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
 */
export function fromRefusal(refusal: Refusal): AppError {
  const { status, code, inner = '', retryAfterMs } = refusal;
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs };
  if (status >= 300 && status < 400) return badAnswer('it redirects, and redirects are not followed');
  if (status === 401) return new AppError('AUTH_FAILED', { detail: 'the vault does not accept the token' });
  if (status === 403) return forbidden(code, inner);
  if (status === 409) return conflict(inner);
  if (status === 429) return new AppError('THROTTLED', wait);
  if (status === 408 || status >= 500) {
    return new AppError('STORE_UNAVAILABLE', { detail: `status ${status}`, ...wait });
  }
  return badAnswer(
    code === undefined ? `status ${status}, not in the form of Key Vault` : `status ${status}`,
  );
}

function forbidden(code: string | undefined, inner: string): AppError {
  if (/^(Secret|Key|Certificate)Disabled$/.test(inner)) return new AppError('SOURCE_DISABLED');
  const detail = code === undefined ? 'status 403, not in the form of Key Vault' : NOT_ALLOWED[inner];
  return new AppError('ACCESS_DENIED', detail === undefined ? {} : { detail });
}

function conflict(inner: string): AppError {
  if (inner === 'ObjectIsDeletedButRecoverable') return new AppError('SOURCE_DELETED');
  return new AppError('STORE_UNAVAILABLE', { detail: 'it is being deleted or recovered (status 409)' });
}
