import { AppError } from '../../core/errors.ts';
import { because } from '../failures.ts';

/** SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html), as a person would say it. */
const STATES: Readonly<Record<string, string>> = {
  '0A000': 'the server does not support what we need',
  '23505': 'its last record does not fit its head, so that it was changed from outside',
  '25006': 'the server is read-only',
  '25P03': 'the server ended a transaction that stood still',
  '28000': 'the server refuses the user',
  '28P01': 'the server refuses the password',
  '3D000': 'there is no such database',
  '3F000': 'it holds no audit log yet',
  '40001': 'another process was faster',
  '40P01': 'another process was faster',
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
  XX002: 'an index of it is damaged',
};

const NETWORK: Readonly<Record<string, string>> = {
  EAI_AGAIN: 'the name of the server cannot be resolved now',
  ECONNREFUSED: 'nothing answers at the address of the server',
  ECONNRESET: 'the connection was cut',
  EHOSTUNREACH: 'the server cannot be reached',
  ENETUNREACH: 'the server cannot be reached',
  ENOTFOUND: 'the name of the server is not known',
  EPIPE: 'the connection was cut',
  ETIMEDOUT: 'the server does not answer',
};

const CERTIFICATE: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate of the server has expired',
  CERT_NOT_YET_VALID: 'the certificate of the server is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the authority of its certificate is not trusted: set `tls.caFile`',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate of the server is for another name',
  SELF_SIGNED_CERT_IN_CHAIN: 'the authority of its certificate is not trusted: set `tls.caFile`',
  UNABLE_TO_GET_ISSUER_CERT: 'the authority of its certificate is not trusted: set `tls.caFile`',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the authority of its certificate is not trusted: set `tls.caFile`',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the authority of its certificate is not trusted: set `tls.caFile`',
};

const NO_TLS = 'The server does not support SSL connections';

/** What the driver threw, as ours. Its text may hold names of users, hosts and columns, so none of it is kept. */
export function unavailable(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const state = sqlState(error);
  if (state !== undefined) return because(STATES[state] ?? `PostgreSQL error ${state}`, error);
  const code = codeOf(error);
  const known = NETWORK[code] ?? CERTIFICATE[code] ?? (isTls(code) ? 'TLS failed' : undefined);
  if (known !== undefined) return because(known, error);
  // The driver has no code for this one.
  if (error instanceof Error && error.message === NO_TLS)
    return because('the server offers no TLS: set it up there, or say `sslmode=disable` in the url', error);
  return because('the connection to the server failed', error);
}

/** The five characters that a server puts on its errors; undefined for what did not come from a server. */
export function sqlState(error: unknown): string | undefined {
  const cause = error instanceof AppError ? error.cause : error;
  const code = codeOf(cause);
  const fromServer = cause instanceof Error && 'severity' in cause;
  return fromServer && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** Whether somebody else held a lock for longer than we let the server wait. */
export function isLocked(error: unknown): boolean {
  return sqlState(error) === '55P03';
}

/** Whether the server ends the connection with this error. */
export function endsConnection(error: unknown): boolean {
  const state = sqlState(error);
  return state === undefined || /^(57P0|08|25P0[34])/.test(state);
}

/** Whether a connection that was ended or could not be made may be made in a moment: the server restarts or is busy. */
export function isPassing(error: unknown): boolean {
  const state = sqlState(error);
  // One that stood still in a transaction was ended with it, so that nothing of it was stored.
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
