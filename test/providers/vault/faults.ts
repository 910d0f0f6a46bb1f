import type { ErrorCode } from '../../../src/core/error-codes.ts';
import type { Fault } from '../../fakes/fault-proxy.ts';

/** What each fault between us and Vault must become. */
export const VAULT_FAULTS = {
  'bad request': 'BAD_ANSWER',
  unauthorized: 'AUTH_FAILED',
  forbidden: 'AUTH_FAILED', // everything is forbidden, `lookup-self` included
  'forbidden, in HTML': 'AUTH_FAILED',
  'wrong mount': 'MOUNT_NOT_FOUND',
  'not found, in HTML': 'BAD_ANSWER',
  'not allowed': 'MOUNT_NOT_FOUND',
  'not up to date': 'STORE_UNAVAILABLE',
  throttled: 'THROTTLED',
  'throttled, for 2 seconds': 'THROTTLED',
  'throttled, until a date': 'THROTTLED',
  'throttled, for an hour': 'THROTTLED',
  standby: 'STORE_UNAVAILABLE',
  'server error': 'STORE_UNAVAILABLE',
  'bad gateway, in HTML': 'STORE_UNAVAILABLE',
  unavailable: 'STORE_UNAVAILABLE',
  sealed: 'STORE_UNAVAILABLE',
  hang: 'TIMEOUT',
  'hang in the body': 'TIMEOUT',
  reset: 'STORE_UNAVAILABLE',
  'reset in the body': 'STORE_UNAVAILABLE',
  cut: 'STORE_UNAVAILABLE',
  'cut, without a length': 'BAD_ANSWER',
  'not HTTP': 'BAD_ANSWER',
  redirect: 'BAD_ANSWER',
  html: 'BAD_ANSWER',
  'wrong content type': 'BAD_ANSWER',
  'invalid JSON': 'BAD_ANSWER',
  'another JSON': 'BAD_ANSWER',
  'not UTF-8': 'BAD_ANSWER',
  empty: 'BAD_ANSWER',
  endless: 'TOO_LARGE',
} as const satisfies Record<Fault, ErrorCode>;
