import type { TargetId } from '../core/target.ts';

/** Why a target is looked at, in the order of work: what a person waits for comes first. */
export const REASONS = ['manual', 'first', 'event', 'drift', 'sweep'] as const;
export type Reason = (typeof REASONS)[number];

/** Names a target, never a change or a value: the state is read afresh, so a lost or doubled job does no harm. */
export interface Job {
  readonly target: TargetId;
  readonly mapping: string;
  readonly reason: Reason;
  readonly requestId: string;
}

export interface Queue extends AsyncDisposable {
  /** While the same target waits, one job stands for both; while it runs, one more run follows. */
  add(job: Job): Promise<void>;
  /** Begins to work. `process` never throws for what a target may do. */
  start(process: (job: Job) => Promise<void>): void;
  /** Resolves when nothing waits and nothing runs; rejects with what `process` threw. */
  idle(): Promise<void>;
}
