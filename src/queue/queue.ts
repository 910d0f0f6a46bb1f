import type { AppError } from '../core/errors.ts';

/** Why something is looked at, in the order of work: what a person waits for comes first. */
export const REASONS = ['manual', 'first', 'event', 'drift', 'sweep'] as const;
export type Reason = (typeof REASONS)[number];
/** For what only a newer release knows, while replicas are updated: what is asked for is looked at, and no less. */
export const OF_NEWER: Reason = 'sweep';

/** Whether it says no more than that the queue cannot be used now, which its health tells of once. */
export function saysHealth({ code }: AppError): boolean {
  return code === 'QUEUE_UNAVAILABLE' || code === 'QUEUE_MISCONFIGURED';
}

/** Names its subject, never a change or a value: the state is read afresh, so a lost or doubled job does no harm. */
export interface Job {
  /** As `subject.ts` writes it. */
  readonly subject: string;
  readonly reason: Reason;
  readonly requestId: string;
}

export interface AddOptions {
  /** Not before this many milliseconds. An add without it, or with less, brings a job that waits forward. */
  readonly delayMs?: number;
  /** Dropped if any process added this subject under the same id before; remembered for `ttlMs`. */
  readonly once?: { readonly id: string; readonly ttlMs: number };
}

/** Gives after how many milliseconds the same subject is to run again, if it is. The signal ends with the queue. */
export type Process = (job: Job, signal: AbortSignal) => Promise<number | undefined>;

export interface QueueHealth {
  readonly state: 'up' | 'degraded' | 'down';
  readonly error?: AppError;
  /** What was added later than this, in milliseconds since 1970, came to the queue as it is now. */
  readonly asOf?: number;
}

/** How many jobs there are in each state. */
export interface JobCounts {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
}

/** Of the field of a notice and of its text, in characters: they are names, times and codes. */
export const LONGEST_NOTICE = 1_024;

/** What processes that share a queue tell each other: names, times and codes. Best effort, and lost with Redis. */
export interface Notices {
  /** The latest text of a field; `undefined` ends it. Never throws and never waits. What is too long is dropped. */
  post(field: string, text: string | undefined): void;
  /** Told each field that any process posts, this one included, and all that stand when it (re)connects. */
  subscribe(listener: (field: string, text: string | undefined) => void): () => void;
}

/**
 * One subject is worked on by one worker at a time. While it waits, one job stands for all that are added, under
 * the most urgent reason; while it runs, one more run follows; while it is delayed, an add brings it forward.
 */
export interface Queue extends AsyncDisposable {
  readonly kind: 'memory' | 'redis';
  /** @throws AppError QUEUE_UNAVAILABLE or QUEUE_MISCONFIGURED within seconds; what was not added may be added again without harm. */
  add(job: Job, options?: AddOptions): Promise<void>;
  /** Begins to work. What `process` throws is kept for `idle` by the engine in memory, and nowhere by others. */
  start(process: Process): void;
  /** Resolves when nothing waits, is delayed or runs in this process; rejects with what `process` threw. */
  idle(): Promise<void>;
  counts(): Promise<JobCounts>;
  health(): QueueHealth;
  /** Told of each change of health; one that is `down` no longer may have lost jobs that were added until `asOf`. */
  onHealth(listener: (health: QueueHealth) => void): () => void;
  readonly notices: Notices;
  /** Takes no more work and waits for what runs; after `graceMs` that is left to others. Never hangs. */
  close(graceMs: number): Promise<void>;
}
