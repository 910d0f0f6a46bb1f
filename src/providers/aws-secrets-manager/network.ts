import type { ErrorCode } from '../../core/error-codes.ts';
import { AppError } from '../../core/errors.ts';

const UNKNOWN_ISSUER = 'the issuer of its certificate is not trusted';
const LOST = 'the connection was closed before the answer was whole';
const NO_ROUTE = 'there is no route to it';

/** Codes of Node, OpenSSL and undici. What is not listed is STORE_UNAVAILABLE: it may mend itself. */
const NETWORK: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOTFOUND: ['STORE_UNAVAILABLE', 'its name cannot be resolved (DNS); is the region right?'],
  EAI_AGAIN: ['STORE_UNAVAILABLE', 'its name cannot be resolved at the moment (DNS)'],
  ECONNREFUSED: ['STORE_UNAVAILABLE', 'the connection was refused'],
  ECONNRESET: ['STORE_UNAVAILABLE', LOST],
  EPIPE: ['STORE_UNAVAILABLE', LOST],
  UND_ERR_SOCKET: ['STORE_UNAVAILABLE', LOST],
  HPE_INVALID_EOF_STATE: ['STORE_UNAVAILABLE', LOST],
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: ['STORE_UNAVAILABLE', LOST],
  EHOSTUNREACH: ['STORE_UNAVAILABLE', NO_ROUTE],
  ENETUNREACH: ['STORE_UNAVAILABLE', NO_ROUTE],
  ETIMEDOUT: ['TIMEOUT', 'the connection could not be made in time'],
  UND_ERR_CONNECT_TIMEOUT: ['TIMEOUT', 'the connection could not be made in time'],
  UND_ERR_HEADERS_TIMEOUT: ['TIMEOUT', 'the answer did not begin in time'],
  UND_ERR_BODY_TIMEOUT: ['TIMEOUT', 'the answer did not end in time'],
  UND_ERR_HEADERS_OVERFLOW: ['BAD_ANSWER', 'its headers are too large'],
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
  ERR_SSL_WRONG_VERSION_NUMBER: ['TLS_FAILED', 'it does not speak TLS; is its address `http`?'],
  ERR_SSL_PACKET_LENGTH_TOO_LONG: ['TLS_FAILED', 'it does not speak TLS; is its address `http`?'],
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
  if (code.startsWith('HPE_') || code === 'HTTPParserError') return ['BAD_ANSWER', 'it is not HTTP'];
  if (code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_'))
    return ['TLS_FAILED', 'the handshake failed'];
  return ['STORE_UNAVAILABLE', 'the connection failed'];
}
