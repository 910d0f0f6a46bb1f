import type { ErrorCode } from '../../../src/core/error-codes.ts';
import type { Fault } from '../../fakes/fault-proxy.ts';
import { HTTP_FAULT_CODES } from '../http-faults.ts';

/**
 * The error that we expect for each fault between us and AWS. The JSON errors of the fake contain no AWS error type, so
 * their status decides.
 */
export const AWS_FAULTS = {
  ...HTTP_FAULT_CODES,
  'wrong mount': 'BAD_ANSWER',
  'not found at another host': 'BAD_ANSWER',
  'not allowed': 'BAD_ANSWER',
  'not up to date': 'BAD_ANSWER',
  'throttled for an hour': 'THROTTLED',
  standby: 'BAD_ANSWER',
  'unavailable, for 2 seconds': 'STORE_UNAVAILABLE',
  sealed: 'STORE_UNAVAILABLE',
  'sealed according to its health': 'STORE_UNAVAILABLE',
} as const satisfies Record<Fault, ErrorCode>;
