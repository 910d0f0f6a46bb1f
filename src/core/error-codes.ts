import { CLUSTER } from './error-tables/cluster.ts';
import { DATA } from './error-tables/data.ts';
import { HTTP } from './error-tables/http.ts';
import { OURS } from './error-tables/ours.ts';
import { STORE } from './error-tables/store.ts';

/**
 * What the reader of an error has to do, and so what the queue does with it:
 * `retry` it heals by itself · `wait` we were asked to slow down · `fix-config`, `fix-access` a person must act ·
 * `report-bug` we are at fault.
 */
export type Remedy = 'retry' | 'wait' | 'fix-config' | 'fix-access' | 'report-bug';

export interface ErrorKind {
  readonly group: 'store' | 'data' | 'cluster' | 'ours' | 'http';
  readonly remedy: Remedy;
  /** Completes "<object>: …". */
  readonly says: string;
  /** What to do about it, as one sentence. */
  readonly todo: string;
}

/** Every error there is: the source of `ErrorCode`, of the messages and of `docs/reference/errors.md`. */
export const ERRORS = { ...STORE, ...DATA, ...CLUSTER, ...OURS, ...HTTP } as const satisfies Record<
  string,
  ErrorKind
>;

export type ErrorCode = keyof typeof ERRORS;

/** Whether this release knows it: a newer one may have more. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERRORS, code);
}
