import { CLUSTER } from './error-tables/cluster.ts';
import { DATA } from './error-tables/data.ts';
import { HTTP } from './error-tables/http.ts';
import type { ErrorKind } from './error-tables/kind.ts';
import { OURS } from './error-tables/ours.ts';
import { STORE } from './error-tables/store.ts';

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
