import type { ErrorCode } from '../../src/core/error-codes.ts';
import type { HttpFault } from '../fakes/http-faults.ts';

/** The error that we expect for each fault between us and a store. A store may define another error for a fault. */
export const HTTP_FAULT_CODES = {
  'bad request': 'BAD_ANSWER',
  unauthorized: 'AUTH_FAILED',
  forbidden: 'ACCESS_DENIED',
  'forbidden, in HTML': 'ACCESS_DENIED',
  'not found, in HTML': 'BAD_ANSWER',
  throttled: 'THROTTLED',
  'throttled, for 2 seconds': 'THROTTLED',
  'throttled until a date': 'THROTTLED',
  'throttled, in Latin-1': 'THROTTLED',
  'server error': 'STORE_UNAVAILABLE',
  'bad gateway, in HTML': 'STORE_UNAVAILABLE',
  unavailable: 'STORE_UNAVAILABLE',
  'unavailable, endless': 'STORE_UNAVAILABLE',
  hang: 'TIMEOUT',
  'hang in the body': 'TIMEOUT',
  reset: 'STORE_UNAVAILABLE',
  'connection reset in the body': 'STORE_UNAVAILABLE',
  cut: 'STORE_UNAVAILABLE',
  'truncated without a length': 'BAD_ANSWER',
  'not HTTP': 'BAD_ANSWER',
  redirect: 'BAD_ANSWER',
  html: 'BAD_ANSWER',
  'wrong content type': 'BAD_ANSWER',
  'invalid JSON': 'BAD_ANSWER',
  'another JSON': 'BAD_ANSWER',
  'not UTF-8': 'BAD_ANSWER',
  empty: 'BAD_ANSWER',
  endless: 'TOO_LARGE',
} as const satisfies Record<HttpFault, ErrorCode>;
