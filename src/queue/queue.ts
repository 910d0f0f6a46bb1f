import { type AppError, toAppError } from '../core/errors.ts';

/** The reasons for a run, most urgent first. With `manual`, a person is waiting for the result. */
export const REASONS = ['manual', 'first', 'event', 'drift', 'sweep'] as const;
export type Reason = (typeof REASONS)[number];
/**
 * Replaces a reason that this release does not know. During a rolling update, a newer release may have queued a job
 * with such a reason.
 */
export const FALLBACK_REASON: Reason = 'sweep';

/**
 * A job contains the name of its subject and no change or value. Each run reads the current state, so a lost or
 * duplicated job does no harm.
 */
export interface Job {
  /** As written by `formatSubject`. */
  readonly subject: string;
  readonly reason: Reason;
  readonly requestId: string;
  /** Groups with waiting jobs of the same reason take turns. Jobs without a group form a group too. */
  readonly group?: string;
}

/** Returns the rank of a job's reason. A lower rank is more urgent. */
export function rankOf({ reason }: Pick<Job, 'reason'>): number {
  return REASONS.indexOf(reason);
}

export interface AddOptions {
  /**
   * Adds a wake-up, which adds the job after this time in milliseconds. A subject has one wake-up. The earliest time
   * and the most urgent reason win. A run of the subject removes its wake-up.
   */
  readonly delayMs?: number;
  /** Ignores this add if any process has added the subject with the same id within the last `ttlMs`. */
  readonly once?: { readonly id: string; readonly ttlMs: number };
  /** Leaves the reason and the request id of a waiting job as they are. */
  readonly repeat?: boolean;
}

/** Runs a job. The signal aborts with `INTERRUPTED` when the queue stops, so the job must begin nothing new. */
export type Process = (job: Job, signal: AbortSignal) => Promise<void>;

export interface QueueHealth {
  readonly state: 'up' | 'degraded' | 'down';
  readonly error?: AppError;
  /**
   * When the check that found this state began, in milliseconds since 1970. Jobs that were added before this time may
   * have been lost in an outage.
   */
  readonly asOf?: number;
}

/** The number of jobs in each state. Wake-ups count as delayed. */
export interface JobCounts {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
}

/** Maximum length of a topic and of a text, in characters. */
export const MAX_MESSAGE_LENGTH = 1_024;

export function isWithinLimit(topic: string, text: string | undefined): boolean {
  return topic.length <= MAX_MESSAGE_LENGTH && (text ?? '').length <= MAX_MESSAGE_LENGTH;
}

export type MessageListener = (topic: string, text: string | undefined) => void;

/**
 * Messages between the processes that share a queue. They contain only names, times and codes. Delivery is best effort:
 * a message may be lost, and a newer message of the same topic may replace one that is not delivered yet.
 */
export interface Broadcast {
  /**
   * Sends a new text for a topic. `undefined` means that the topic has ended. Returns immediately and never throws.
   * Drops a text that is too long.
   */
  send(topic: string, text: string | undefined): void;
  /**
   * Calls the listener with each message, including those from this process. If several processes share the queue, the
   * listener first receives the latest message that the server has kept for each topic.
   */
  subscribe(listener: MessageListener): () => void;
}

/**
 * At most one worker runs a subject at a time. The most urgent reason runs first. Among jobs with the same reason,
 * groups take turns, so that a group with many jobs does not delay the others. Each add is followed by a run that starts after the add. If a subject is
 * already waiting, further adds share its job, which takes the most urgent reason. If jobs are added during a run, one
 * more run follows, with one of these jobs.
 */
export interface Queue extends AsyncDisposable {
  readonly kind: 'memory' | 'redis';
  /** The number of jobs that this process runs at the same time. */
  readonly concurrency: number;
  /**
   * @throws AppError QUEUE_UNAVAILABLE or QUEUE_MISCONFIGURED, within seconds. The add can then be repeated without
   * harm.
   */
  add(jobs: readonly Job[], options?: AddOptions): Promise<void>;
  /** Starts running jobs. In the memory queue, an error thrown by `process` makes `idle` reject. */
  start(process: Process): void;
  /** Resolves when no job is waiting, delayed or running. In the memory queue, rejects if `process` has thrown. */
  idle(): Promise<void>;
  counts(): Promise<JobCounts>;
  health(): QueueHealth;
  /** Calls the listener on each change of health. After an outage, jobs added before `asOf` may be lost. */
  onHealth(listener: (health: QueueHealth) => void): () => void;
  readonly broadcast: Broadcast;
  /** Stops taking jobs. Jobs can still be added, for other processes. */
  stop(): void;
  /**
   * Stops, and waits up to `graceMs` for running jobs. Other processes take over jobs that have not ended by then. Always
   * resolves.
   */
  close(graceMs: number): Promise<void>;
}

/**
 * Whether the error only reports that the queue is unavailable. Callers need not log it, because a change of the
 * queue's health is logged once.
 */
export function isQueueOutage({ code }: AppError): boolean {
  return code === 'QUEUE_UNAVAILABLE' || code === 'QUEUE_MISCONFIGURED';
}

/** Returns the error of an add if the caller must log it: every error except an outage. */
export function errorToLog(thrown: unknown): AppError | undefined {
  const error = toAppError(thrown);
  return isQueueOutage(error) ? undefined : error;
}
