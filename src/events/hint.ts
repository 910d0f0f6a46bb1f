import type { AppError } from '../core/errors.ts';

/**
 * Says that a key may have changed in a store. A hint holds names only, and its receiver reads the store again. So a
 * lost, duplicate, late or forged hint does no harm.
 */
export interface Hint {
  readonly store: string;
  /** Every name that a mapping may use for the key (for AWS its name and its ARN). */
  readonly keys: readonly string[];
}

/** The intake of the `events` configuration that received the hint. */
export interface Origin {
  readonly kind: 'sqs' | 'eventGrid' | 'vault' | 'webhook';
  readonly name: string;
}

/** The result of one message: how many targets are checked because of it, and how many of its keys no mapping uses. */
export interface HintCounts {
  readonly targets: number;
  readonly unknown: number;
}

/**
 * Submits hints. Never throws and never waits: hints that the queue cannot take now are retried later.
 * @param requestId The id of the HTTP request that carried the hints, if any. The audit records its effects under this
 * id.
 */
export type SubmitHints = (hints: readonly Hint[], origin: Origin, requestId?: string) => HintCounts;

/**
 * A running loop that fetches hints from a queue or a stream. Failed attempts count as progress for the liveness check.
 */
export interface Intake extends AsyncDisposable {
  readonly origin: Origin;
}

/**
 * The outcome label of the event metric:
 * - `taken`: the hint triggered a check of targets.
 * - `unknown`: no mapping uses the key.
 * - `ignored`: the message is about no change, or about another store.
 * - `malformed`: the format is unknown, or a webhook names a store that is not its own.
 * - `dropped`: a malformed message was delivered too often.
 * - `refused`: not authenticated, over the rate limit, or not verifiable at the moment.
 */
export type EventOutcome = 'taken' | 'unknown' | 'ignored' | 'malformed' | 'dropped' | 'refused';

export interface IntakeDeps {
  readonly submit: SubmitHints;
  /** Called for each message that gives no hint. `submit` counts the others. */
  readonly onSkipped: (outcome: Exclude<EventOutcome, 'taken' | 'unknown'>) => void;
  /** Called after each attempt, with the error when it failed. */
  readonly onProgress: (error?: AppError) => void;
}
