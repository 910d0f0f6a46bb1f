import type { ErrorCode } from '../core/error-codes.ts';
import { AppError } from '../core/errors.ts';

/**
 * Questions about store settings that may have caused the error, such as `is the region right?`. The questions are
 * appended to the detail of the error.
 */
export interface NetworkHints {
  readonly unresolved?: string;
  readonly notTls?: string;
  readonly wantsCertificate?: string;
}

type Meaning = readonly [code: ErrorCode, detail: string, hint?: keyof NetworkHints];

const LOST: Meaning = ['STORE_UNAVAILABLE', 'the connection was closed before the response was complete'];
const NO_ROUTE: Meaning = ['STORE_UNAVAILABLE', 'there is no route to the host'];
const NOT_CONNECTED: Meaning = ['TIMEOUT', 'the connection timed out'];
const OVERSIZED: Meaning = ['BAD_ANSWER', 'the response headers are too large'];
const UNKNOWN_ISSUER: Meaning = ['TLS_FAILED', 'the issuer of the server certificate is not trusted'];
const UNFIT: Meaning = [
  'TLS_FAILED',
  'the server certificate or one of its issuers is not valid for this purpose',
];
const NOT_TLS: Meaning = ['TLS_FAILED', 'the server does not use TLS', 'notTls'];
const CLIENT_REFUSED: Meaning = ['TLS_FAILED', 'the server does not accept our client certificate'];
const HANDSHAKE: Meaning = ['TLS_FAILED', 'the TLS handshake failed'];

/**
 * The meanings of error codes of Node (https://nodejs.org/api/errors.html,
 * https://nodejs.org/api/tls.html#x509-certificate-error-codes), OpenSSL, llhttp and undici.
 */
const BY_CODE: ReadonlyMap<string, Meaning> = new Map<string, Meaning>([
  ['ENOTFOUND', ['STORE_UNAVAILABLE', 'the host name cannot be resolved (DNS)', 'unresolved']],
  ['EAI_AGAIN', ['STORE_UNAVAILABLE', 'the host name cannot be resolved at the moment (DNS)']],
  ['ECONNREFUSED', ['STORE_UNAVAILABLE', 'the connection was refused']],
  ['EHOSTUNREACH', NO_ROUTE],
  ['ENETUNREACH', NO_ROUTE],
  ['ECONNRESET', LOST],
  ['EPIPE', LOST],
  ['ERR_STREAM_PREMATURE_CLOSE', LOST],
  ['HPE_INVALID_EOF_STATE', LOST],
  ['UND_ERR_SOCKET', LOST],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', LOST],
  ['ETIMEDOUT', NOT_CONNECTED],
  ['UND_ERR_CONNECT_TIMEOUT', NOT_CONNECTED],
  ['UND_ERR_HEADERS_TIMEOUT', ['TIMEOUT', 'the response did not start in time']],
  ['UND_ERR_BODY_TIMEOUT', ['TIMEOUT', 'the response did not end in time']],
  ['HPE_HEADER_OVERFLOW', OVERSIZED],
  ['UND_ERR_HEADERS_OVERFLOW', OVERSIZED],
  ['ERR_TLS_CERT_ALTNAME_INVALID', ['TLS_FAILED', 'the server certificate is for another name']],
  ['CERT_HAS_EXPIRED', ['TLS_FAILED', 'the server certificate has expired, or the local clock is wrong']],
  [
    'CERT_NOT_YET_VALID',
    ['TLS_FAILED', 'the server certificate is not valid yet, or the local clock is wrong'],
  ],
  ['CERT_REVOKED', ['TLS_FAILED', 'the server certificate is revoked']],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', UNKNOWN_ISSUER],
  ['UNABLE_TO_GET_ISSUER_CERT', UNKNOWN_ISSUER],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', UNKNOWN_ISSUER],
  ['SELF_SIGNED_CERT_IN_CHAIN', UNKNOWN_ISSUER],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', UNKNOWN_ISSUER],
  ['CERT_SIGNATURE_FAILURE', UNKNOWN_ISSUER],
  ['CERT_UNTRUSTED', UNKNOWN_ISSUER],
  ['INVALID_PURPOSE', UNFIT],
  ['INVALID_CA', UNFIT],
  ['PATH_LENGTH_EXCEEDED', UNFIT],
  ['CERT_CHAIN_TOO_LONG', UNFIT],
  ['CERT_REJECTED', UNFIT],
  ['ERR_SSL_WRONG_VERSION_NUMBER', NOT_TLS],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', NOT_TLS],
  [
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    ['TLS_FAILED', 'the server requires a client certificate', 'wantsCertificate'],
  ],
  ['ERR_OSSL_X509_KEY_VALUES_MISMATCH', ['TLS_FAILED', 'the client certificate and its key do not match']],
  ['EPROTO', HANDSHAKE],
]);

/** The meanings of groups of codes that are too large to list. Each group has a pattern. */
const BY_FAMILY: readonly (readonly [family: RegExp, meaning: Meaning])[] = [
  [/^(HPE_|HTTPParserError$)/, ['BAD_ANSWER', 'the response is not HTTP']],
  // TLS alerts (RFC 8446, section 6.2). The pattern allows any protocol name, because OpenSSL changed it from `SSLV3`
  // to `SSL/TLS`.
  [
    /^ERR_SSL_.*_ALERT_(UNKNOWN_CA|(BAD|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_(EXPIRED|REVOKED|UNKNOWN))$/,
    CLIENT_REFUSED,
  ],
  [/^ERR_OSSL_/, ['TLS_FAILED', 'a certificate or key file is not valid PEM']],
  [/^ERR_(SSL|TLS)_/, HANDSHAKE],
];

/** The meaning of an unknown error. It may go away. */
const UNKNOWN: Meaning = ['STORE_UNAVAILABLE', 'the connection failed'];

/**
 * Converts a connection error to an AppError. All stores that use the network share this function. The original error
 * is dropped, because the error of a parser contains bytes of the response.
 */
export function fromNetwork(thrown: unknown, hints: NetworkHints = {}): AppError {
  const code = codeOf(thrown);
  const [kind, detail, situation] =
    BY_CODE.get(code) ?? BY_FAMILY.find(([family]) => family.test(code))?.[1] ?? UNKNOWN;
  const hint = situation === undefined ? undefined : hints[situation];
  return new AppError(kind, {
    detail: hint === undefined ? detail : `${detail}; ${hint}`,
    cause: new Error(code),
  });
}

/**
 * Returns the `code` of an error. If the error covers several attempts (IPv6, then IPv4), returns the code of the first
 * attempt.
 */
function codeOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'UNKNOWN';
  if ('code' in thrown && typeof thrown.code === 'string')
    return thrown.code === 'EPROTO' ? codeOfHandshake(thrown.message) : thrown.code;
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return codeOf(thrown.errors[0]);
  return thrown.cause === undefined ? thrown.name : codeOf(thrown.cause);
}

/**
 * Returns a code for a failed TLS handshake. `node:https` reports every such failure as EPROTO. Only the OpenSSL
 * message contains the reason: `error:0A00010B:SSL routines:<function>:wrong version number:`.
 */
function codeOfHandshake(message: string): string {
  const reason = /:SSL routines:\w*:([a-z0-9/ ]{1,80}):/.exec(message)?.[1];
  return reason === undefined ? 'EPROTO' : `ERR_SSL_${reason.toUpperCase().replaceAll(' ', '_')}`;
}
