import type { AppError } from '../core/errors.ts';

/** The reasons for a run, most urgent first. With `manual`, a person is waiting for the result. */
export const REASONS = ['manual', 'first', 'event', 'drift', 'sweep'] as const;
export type Reason = (typeof REASONS)[number];
/**
 * Used for a reason that this release does not know. During a rolling update, a newer release may have queued the job.
 */
export const FALLBACK_REASON: Reason = 'sweep';

/**
 * Whether the error only reports that the queue is unavailable. Callers need not log it, because a change of the
 * queue's health is logged once.
 */
export function isQueueOutage({ code }: AppError): boolean {
  return code === 'QUEUE_UNAVAILABLE' || code === 'QUEUE_MISCONFIGURED';
}

/**
 * A job contains the name of its subject and no change or value. Each run reads the current state, so a lost or
 * duplicated job does no harm.
 */
export interface Job {
  /** As written by `formatSubject`. */
  readonly subject: string;
  readonly reason: Reason;
  readonly requestId: string;
}

export interface AddOptions {
  /**
   * Minimum time until the job starts, in milliseconds. If the subject is added again with a shorter delay, the job
   * starts earlier.
   */
  readonly delayMs?: number;
  /** Ignores this add if any process has added the subject with the same id within the last `ttlMs`. */
  readonly once?: { readonly id: string; readonly ttlMs: number };
}

/**
 * Runs a job. Returns the delay in milliseconds until the subject must run again, or `undefined` for no further run.
 * The signal aborts when the queue closes.
 */
export type Process = (job: Job, signal: AbortSignal) => Promise<number | undefined>;

export interface QueueHealth {
  readonly state: 'up' | 'degraded' | 'down';
  readonly error?: AppError;
  /**
   * When the check that found this state began, in milliseconds since 1970. Jobs added earlier may have been lost in an
   * outage.
   */
  readonly asOf?: number;
}

/** The number of jobs in each state. */
export interface JobCounts {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
}

/** Maximum length of a topic and of a text, in characters. */
export const MAX_MESSAGE_LENGTH = 1_024;

/**
 * Messages between the processes that share a queue. They contain only names, times and codes. Delivery is best effort:
 * Redis may lose messages.
 */
export interface Broadcast {
  /**
   * Publishes a new text for a topic, or deletes the topic if the text is `undefined`. Returns at once and never
   * throws. Drops a text that is too long.
   */
  publish(topic: string, text: string | undefined): void;
  /**
   * Calls the listener with the latest text of every topic, then with each new text, including those from this process.
   * After a reconnect, the listener receives the latest texts that it missed.
   */
  subscribe(listener: (topic: string, text: string | undefined) => void): () => void;
}

/**
 * At most one worker runs a subject at a time. All adds of a waiting subject share one job, which takes the most urgent
 * reason. An add during a run starts one more run afterwards. An add for a delayed job can make it start earlier, never
 * later.
 */
export interface Queue extends AsyncDisposable {
  readonly kind: 'memory' | 'redis';
  /**
   * @throws AppError QUEUE_UNAVAILABLE or QUEUE_MISCONFIGURED, within seconds. The add can then be repeated without
   * harm.
   */
  add(job: Job, options?: AddOptions): Promise<void>;
  /** Starts running jobs. In the memory queue, an error thrown by `process` makes `idle` reject. */
  start(process: Process): void;
  /** Resolves when no job is waiting, delayed or running. In the memory queue, rejects if `process` has thrown. */
  idle(): Promise<void>;
  counts(): Promise<JobCounts>;
  health(): QueueHealth;
  /** Calls the listener on each change of health. After an outage, jobs added before `asOf` may be lost. */
  onHealth(listener: (health: QueueHealth) => void): () => void;
  readonly broadcast: Broadcast;
  /**
   * Stops taking jobs and waits up to `graceMs` for running ones. Other processes take over jobs that have not ended by
   * then. Always resolves.
   */
  close(graceMs: number): Promise<void>;
}
