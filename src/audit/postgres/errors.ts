import { AppError } from '../../core/errors.ts';
import { auditUnavailable } from '../errors.ts';

/** Messages for SQLSTATE codes (https://www.postgresql.org/docs/current/errcodes-appendix.html). */
const STATES: Readonly<Record<string, string>> = {
  '08P01': 'the server or its connection pooler rejects our messages',
  '0A000': 'the server does not support what we need',
  '23505': 'its last record does not match its head: it was changed from outside',
  '25006': 'the server is read-only',
  '25P03': 'the server ended an idle transaction',
  '28000': 'the server refuses the user',
  '28P01': 'the server refuses the password',
  '3D000': 'the database does not exist',
  '3F000': 'it holds no audit log yet',
  '40001': 'another process changed it at the same time',
  '40P01': 'another process changed it at the same time',
  '42501': 'permission denied',
  '42P01': 'it holds no audit log yet',
  '53100': 'the disk of the server is full',
  '53200': 'the server is out of memory',
  '53300': 'the server accepts no more connections',
  '55P03': 'another process holds its lock',
  '57014': 'the server did not finish in time',
  '57P01': 'the server is shutting down',
  '57P02': 'the server crashed',
  '57P03': 'the server is starting or stopping',
  XX001: 'its data is damaged',
  XX002: 'an index is damaged',
};

const NETWORK: Readonly<Record<string, string>> = {
  EAI_AGAIN: 'the name of the server cannot be resolved now',
  ECONNREFUSED: 'nothing answers at the address of the server',
  ECONNRESET: 'the connection was cut',
  EHOSTUNREACH: 'the server cannot be reached',
  ENETUNREACH: 'the server cannot be reached',
  ENOTFOUND: 'the name of the server is unknown',
  EPIPE: 'the connection was cut',
  ETIMEDOUT: 'the server does not answer',
};

const CERTIFICATE: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate of the server has expired',
  CERT_NOT_YET_VALID: 'the certificate of the server is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate authority of the server is not trusted: set `tls.caFile`',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate of the server is for another name',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate authority of the server is not trusted: set `tls.caFile`',
  UNABLE_TO_GET_ISSUER_CERT: 'the certificate authority of the server is not trusted: set `tls.caFile`',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'the certificate authority of the server is not trusted: set `tls.caFile`',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate authority of the server is not trusted: set `tls.caFile`',
};

const NO_TLS = 'The server does not support SSL connections';

/**
 * Converts a driver error to an AppError. Drops the driver's message, because it may contain names of users, hosts and
 * columns.
 */
export function toAuditError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const state = sqlState(error);
  if (state !== undefined) return auditUnavailable(STATES[state] ?? `PostgreSQL error ${state}`, error);
  const code = codeOf(error);
  const detail = NETWORK[code] ?? CERTIFICATE[code] ?? (isTls(code) ? 'TLS failed' : undefined);
  if (detail !== undefined) return auditUnavailable(detail, error);
  // The driver sets no code on this error, so it is recognized by its message.
  if (error instanceof Error && error.message === NO_TLS)
    return auditUnavailable(
      'the server offers no TLS: enable it there, or set `sslmode=disable` in the url',
      error,
    );
  return auditUnavailable('the connection to the server failed', error);
}

/** Returns the SQLSTATE of a server error, which has five characters. Returns undefined for other errors. */
export function sqlState(error: unknown): string | undefined {
  const cause = error instanceof AppError ? error.cause : error;
  const code = codeOf(cause);
  const fromServer = cause instanceof Error && 'severity' in cause;
  return fromServer && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** Whether another session held the lock for longer than `lock_timeout`. */
export function isLocked(error: unknown): boolean {
  return sqlState(error) === '55P03';
}

/** Whether the server ends the connection with this error. */
export function endsConnection(error: unknown): boolean {
  const state = sqlState(error);
  return state === undefined || /^(57P0|08|25P0[34])/.test(state);
}

/** Whether a new connection may work soon, for example because the server restarts or is busy. */
export function isTransient(error: unknown): boolean {
  if (error instanceof AppError && !error.isTransient) return false;
  const state = sqlState(error);
  // Includes 25P03: the server ended an idle transaction, so nothing was stored.
  if (state !== undefined) return /^(57P0|08|53300|25P0[34])/.test(state);
  const code = codeOf(error instanceof AppError ? error.cause : error);
  return CERTIFICATE[code] === undefined && !isTls(code);
}

function isTls(code: string): boolean {
  return /^ERR_(SSL|TLS|OSSL)_/.test(code);
}

function codeOf(error: unknown): string {
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
