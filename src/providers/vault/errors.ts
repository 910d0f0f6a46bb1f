import type { ErrorCode } from '../../core/error-codes.ts';
import { AppError } from '../../core/errors.ts';
import { type Answer, badAnswer, errorTexts, tryParse } from './answer.ts';

const UNKNOWN_ISSUER = 'the issuer of its certificate is not trusted';
const LOST = 'the connection was closed before the answer was whole';
const CLIENT = 'it does not accept our client certificate';
const UNUSABLE = 'the client certificate and its key cannot be used together';
const NO_ROUTE = 'there is no route to it';

/** Codes of Node, OpenSSL and undici. What is not listed is STORE_UNAVAILABLE: it may mend itself. */
const NETWORK: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOTFOUND: ['STORE_UNAVAILABLE', 'its name cannot be resolved (DNS)'],
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
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: ['TLS_FAILED', 'it asks for a client certificate'],
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: ['TLS_FAILED', CLIENT],
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: ['TLS_FAILED', CLIENT],
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: ['TLS_FAILED', CLIENT],
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: ['TLS_FAILED', CLIENT],
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: ['TLS_FAILED', UNUSABLE],
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
  if (code.startsWith('ERR_OSSL_')) return ['TLS_FAILED', 'a certificate or key file is not valid PEM'];
  if (code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_'))
    return ['TLS_FAILED', 'the handshake failed'];
  return ['STORE_UNAVAILABLE', 'the connection failed'];
}

/** Whatever is neither 2xx nor decided by who asked: see `session.ts` for 403 and `read.ts` for 404. */
export function fromStatus(answer: Answer): AppError {
  const { status } = answer;
  const body = tryParse(answer);
  const texts = errorTexts(body) ?? [];
  const says = (part: string) => texts.some((text) => text.includes(part));
  if (status >= 300 && status < 400) return badAnswer('it redirects, and redirects are not followed');
  if (status === 401) return new AppError('AUTH_FAILED', { detail: 'status 401' });
  if (status === 403) return new AppError('ACCESS_DENIED');
  if (status === 404 || status === 405) {
    if (body === undefined) return badAnswer(`status ${status} without valid JSON`);
    return new AppError(
      'MOUNT_NOT_FOUND',
      says('namespace not found') ? { detail: 'no such namespace' } : {},
    );
  }
  if (status === 429) return new AppError('THROTTLED', retryAfter(answer));
  if (status === 412) return unavailable(answer, 'it is not up to date yet');
  if (status === 472 || status === 473)
    return unavailable(answer, 'a standby answered that cannot serve reads');
  if (status === 503 && says('sealed')) return unavailable(answer, 'it is sealed');
  if (status >= 500) return unavailable(answer, `status ${status}`);
  if (status === 400 && body === undefined)
    return badAnswer('status 400 without JSON; is its address `https`?');
  return badAnswer(`status ${status}`);
}

function unavailable(answer: Answer, detail: string): AppError {
  return new AppError('STORE_UNAVAILABLE', { detail, ...retryAfter(answer) });
}

function retryAfter({ retryAfterMs }: Answer): { retryAfterMs?: number } {
  return retryAfterMs === undefined ? {} : { retryAfterMs };
}
