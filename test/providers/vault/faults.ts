import type { ErrorCode } from '../../../src/core/error-codes.ts';
import type { Fault } from '../../fakes/fault-proxy.ts';
import { HTTP_FAULT_CODES } from '../http-faults.ts';

/** The error that we expect for each fault between us and Vault. */
export const VAULT_FAULTS = {
  ...HTTP_FAULT_CODES,
  // This fault forbids every path, including `lookup-self`.
  forbidden: 'AUTH_FAILED',
  'forbidden, in HTML': 'AUTH_FAILED',
  'wrong mount': 'MOUNT_NOT_FOUND',
  'not found at another host': 'BAD_ANSWER',
  'not allowed': 'MOUNT_NOT_FOUND',
  'not up to date': 'STORE_UNAVAILABLE',
  'throttled for an hour': 'THROTTLED',
  standby: 'STORE_UNAVAILABLE',
  'unavailable, for 2 seconds': 'STORE_UNAVAILABLE',
  sealed: 'STORE_UNAVAILABLE',
  'sealed according to its health': 'STORE_UNAVAILABLE',
} as const satisfies Record<Fault, ErrorCode>;
