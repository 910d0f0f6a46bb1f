import type { ErrorCode } from '../../../src/core/error-codes.ts';
import type { Fault } from '../../fakes/azure-server/faults.ts';
import { HTTP_FAULT_CODES } from '../http-faults.ts';

/** The error that we expect for each fault between us and Key Vault. */
export const AZURE_FAULTS = {
  ...HTTP_FAULT_CODES,
  'blocked by the firewall': 'ACCESS_DENIED',
  'not found at another host': 'BAD_ANSWER',
  'no such vault': 'BAD_ANSWER',
  'no such resource': 'BAD_ANSWER',
  'being deleted': 'STORE_UNAVAILABLE',
} as const satisfies Record<Fault, ErrorCode>;
