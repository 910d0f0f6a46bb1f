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
