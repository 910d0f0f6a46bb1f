import type { ErrorCode } from '../core/error-codes.ts';
import { AppError } from '../core/errors.ts';

/** What a store's own setting makes likely, as a question behind the detail: `is the region right?` */
export interface NetworkHints {
  readonly unresolved?: string;
  readonly notTls?: string;
  readonly wantsCertificate?: string;
}

type Meaning = readonly [code: ErrorCode, detail: string, hint?: keyof NetworkHints];

const LOST: Meaning = ['STORE_UNAVAILABLE', 'the connection was closed before the answer was whole'];
const NO_ROUTE: Meaning = ['STORE_UNAVAILABLE', 'there is no route to it'];
const NOT_CONNECTED: Meaning = ['TIMEOUT', 'the connection could not be made in time'];
const OVERSIZED: Meaning = ['BAD_ANSWER', 'its headers are too large'];
const UNKNOWN_ISSUER: Meaning = ['TLS_FAILED', 'the issuer of its certificate is not trusted'];
const UNFIT: Meaning = ['TLS_FAILED', 'its certificate, or one of its issuers, may not be used for this'];
const NOT_TLS: Meaning = ['TLS_FAILED', 'it does not speak TLS', 'notTls'];
const CLIENT_REFUSED: Meaning = ['TLS_FAILED', 'it does not accept our client certificate'];
const HANDSHAKE: Meaning = ['TLS_FAILED', 'the handshake failed'];

/**
 * Codes of Node (https://nodejs.org/api/errors.html, https://nodejs.org/api/tls.html#x509-certificate-error-codes),
 * OpenSSL, llhttp and undici.
 */
const BY_CODE: ReadonlyMap<string, Meaning> = new Map<string, Meaning>([
  ['ENOTFOUND', ['STORE_UNAVAILABLE', 'its name cannot be resolved (DNS)', 'unresolved']],
  ['EAI_AGAIN', ['STORE_UNAVAILABLE', 'its name cannot be resolved at the moment (DNS)']],
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
  ['UND_ERR_HEADERS_TIMEOUT', ['TIMEOUT', 'the answer did not begin in time']],
  ['UND_ERR_BODY_TIMEOUT', ['TIMEOUT', 'the answer did not end in time']],
  ['HPE_HEADER_OVERFLOW', OVERSIZED],
  ['UND_ERR_HEADERS_OVERFLOW', OVERSIZED],
  ['ERR_TLS_CERT_ALTNAME_INVALID', ['TLS_FAILED', 'its certificate is for another name']],
  ['CERT_HAS_EXPIRED', ['TLS_FAILED', 'its certificate has expired, or the clock here is wrong']],
  ['CERT_NOT_YET_VALID', ['TLS_FAILED', 'its certificate is not valid yet, or the clock here is wrong']],
  ['CERT_REVOKED', ['TLS_FAILED', 'its certificate is revoked']],
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
    ['TLS_FAILED', 'it asks for a client certificate', 'wantsCertificate'],
  ],
  [
    'ERR_OSSL_X509_KEY_VALUES_MISMATCH',
    ['TLS_FAILED', 'the client certificate and its key cannot be used together'],
  ],
  ['EPROTO', HANDSHAKE],
]);

/** Codes that come in too many kinds to name each. */
const BY_FAMILY: readonly (readonly [family: RegExp, meaning: Meaning])[] = [
  [/^(HPE_|HTTPParserError$)/, ['BAD_ANSWER', 'it is not HTTP']],
  // Alerts (RFC 8446, 6.2). OpenSSL puts the name of a protocol before each, and has changed it from `SSLV3` to `SSL/TLS`.
  [
    /^ERR_SSL_.*_ALERT_(UNKNOWN_CA|(BAD|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_(EXPIRED|REVOKED|UNKNOWN))$/,
    CLIENT_REFUSED,
  ],
  [/^ERR_OSSL_/, ['TLS_FAILED', 'a certificate or key file is not valid PEM']],
  [/^ERR_(SSL|TLS)_/, HANDSHAKE],
];

/** It may mend itself. */
const UNKNOWN: Meaning = ['STORE_UNAVAILABLE', 'the connection failed'];

/**
 * What the connection to a store did, as an error of ours: the one table for every store that is reached over the
 * network. The thrown object is not kept, since a parser's error carries the bytes of the answer.
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

/** `code`, or the first one of several attempts (IPv6, then IPv4). */
function codeOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'UNKNOWN';
  if ('code' in thrown && typeof thrown.code === 'string')
    return thrown.code === 'EPROTO' ? codeOfHandshake(thrown.message) : thrown.code;
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return codeOf(thrown.errors[0]);
  return thrown.cause === undefined ? thrown.name : codeOf(thrown.cause);
}

/**
 * Where a request waits for the handshake, as it does in `node:https`, Node has no other code, and the reason stands
 * in the text only, as OpenSSL prints it: `error:0A00010B:SSL routines:<function>:wrong version number:`.
 */
function codeOfHandshake(message: string): string {
  const reason = /:SSL routines:\w*:([a-z0-9/ ]{1,80}):/.exec(message)?.[1];
  return reason === undefined ? 'EPROTO' : `ERR_SSL_${reason.toUpperCase().replaceAll(' ', '_')}`;
}
