import { CLUSTER } from './error-tables/cluster.ts';
import { DATA } from './error-tables/data.ts';
import { HTTP } from './error-tables/http.ts';
import { OURS } from './error-tables/ours.ts';
import { STORE } from './error-tables/store.ts';

/**
 * How an error is resolved, which decides when its target runs again:
 * - `retry`: the error is transient.
 * - `wait`: the remote side asked us to slow down.
 * - `fix-config`, `fix-access`: a person must act.
 * - `report-bug`: it is a bug in secretbridge.
 */
export type ErrorCategory = 'retry' | 'wait' | 'fix-config' | 'fix-access' | 'report-bug';

export interface ErrorKind {
  readonly group: 'store' | 'data' | 'cluster' | 'ours' | 'http';
  readonly category: ErrorCategory;
  /** Completes the sentence "<object>: …". */
  readonly message: string;
  /** What the user should do, in one or two sentences. */
  readonly remedy: string;
}

/** All errors. `ErrorCode`, the messages and `docs/reference/errors.md` are derived from this table. */
export const ERRORS = { ...STORE, ...DATA, ...CLUSTER, ...OURS, ...HTTP } as const satisfies Record<
  string,
  ErrorKind
>;

export type ErrorCode = keyof typeof ERRORS;

/** Whether this release knows the code. Newer releases may have more codes. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERRORS, code);
}
