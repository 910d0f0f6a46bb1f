import type { AppError } from '../core/errors.ts';

/** Why a subject runs, in order of priority. A person waits for `manual`. */
export const REASONS = ['manual', 'first', 'event', 'drift', 'sweep'] as const;
export type Reason = (typeof REASONS)[number];
/** Replaces a reason of a newer release during a rolling update. The run still happens. */
export const FALLBACK_REASON: Reason = 'sweep';

/** Whether the error only says that the queue is unusable. The queue's health reports that once. */
export function isQueueOutage({ code }: AppError): boolean {
  return code === 'QUEUE_UNAVAILABLE' || code === 'QUEUE_MISCONFIGURED';
}

/**
 * A job names a subject and carries no change or value. Each run reads the current state, so a lost or duplicated job
 * does no harm.
 */
export interface Job {
  /** As written by `formatSubject`. */
  readonly subject: string;
  readonly reason: Reason;
  readonly requestId: string;
}

export interface AddOptions {
  /** Earliest start, in milliseconds from now. A later add with a shorter delay moves the job forward. */
  readonly delayMs?: number;
  /** Drops the add if any process has added this subject under the same id within `ttlMs`. */
  readonly once?: { readonly id: string; readonly ttlMs: number };
}

/**
 * Returns the delay in milliseconds until the subject runs again, or `undefined`. The signal aborts when the queue
 * closes.
 */
export type Process = (job: Job, signal: AbortSignal) => Promise<number | undefined>;

export interface QueueHealth {
  readonly state: 'up' | 'degraded' | 'down';
  readonly error?: AppError;
  /** Jobs added after this time, in milliseconds since 1970, reached the queue in its current state. */
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
 * Messages between the processes that share a queue: names, times and codes. Delivery is best effort, and Redis may
 * lose messages.
 */
export interface Broadcast {
  /**
   * Publishes the latest text of a topic; `undefined` deletes the topic. Never throws and never waits. Drops texts that
   * are too long.
   */
  publish(topic: string, text: string | undefined): void;
  /**
   * Calls the listener for each message, including messages of this process. After each connect it also receives the
   * latest message of every topic.
   */
  subscribe(listener: (topic: string, text: string | undefined) => void): () => void;
}

/**
 * One worker at a time runs a subject. While a subject waits, all adds share one job with the most urgent reason. An
 * add during a run makes one more run follow. An add during a delay moves the job forward.
 */
export interface Queue extends AsyncDisposable {
  readonly kind: 'memory' | 'redis';
  /**
   * @throws AppError QUEUE_UNAVAILABLE or QUEUE_MISCONFIGURED within seconds. A failed add can be repeated without
   * harm.
   */
  add(job: Job, options?: AddOptions): Promise<void>;
  /** Starts processing. Only the memory queue keeps errors of `process`, for `idle`. */
  start(process: Process): void;
  /** Resolves when no job waits, is delayed or runs in this process. Rejects with an error of `process`. */
  idle(): Promise<void>;
  counts(): Promise<JobCounts>;
  health(): QueueHealth;
  /** Calls the listener on each change of health. After an outage, jobs added before `asOf` may be lost. */
  onHealth(listener: (health: QueueHealth) => void): () => void;
  readonly broadcast: Broadcast;
  /**
   * Takes no more jobs and waits up to `graceMs` for running ones, which other processes then take over. Never hangs.
   */
  close(graceMs: number): Promise<void>;
}
