/**
 * How an error is resolved. The queue handles it accordingly:
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
