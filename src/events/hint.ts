import type { AppError } from '../core/errors.ts';
import type { SecretValue } from '../core/secret-value.ts';

/**
 * A notification that a key in a store may have changed. A hint contains only names, and the receiver reads the key
 * from the store. So a lost, duplicate, late or forged hint does no harm.
 */
export interface Hint {
  readonly store: string;
  /** All names that a mapping may use for the key. For AWS: its name and its ARN. */
  readonly keys: readonly string[];
}

/** The event source that received the hint, as named in the `events` configuration. */
export interface Origin {
  readonly kind: 'sqs' | 'eventGrid' | 'vault' | 'webhook';
  readonly name: string;
}

/**
 * The effect of one message: the number of targets to check, and the number of keys in the message that no mapping
 * uses.
 */
interface HintCounts {
  readonly targets: number;
  readonly unknown: number;
}

/**
 * Submits hints to the queue. Never throws and never waits. If the queue cannot accept hints now, they are submitted
 * later.
 * @param requestId The id of the HTTP request that contained the hints, if any. The audit log records the effects of
 * the hints under this id.
 */
export type SubmitHints = (hints: readonly Hint[], origin: Origin, requestId?: string) => HintCounts;

/**
 * A running loop that receives events from a queue or a stream. In the liveness check, a failed attempt counts as
 * progress, because the loop is still running.
 */
export interface Intake extends AsyncDisposable {
  readonly origin: Origin;
}

/**
 * The outcome label of the event metric:
 * - `taken`: the hint triggered a check of targets.
 * - `unknown`: no mapping uses the key.
 * - `ignored`: the message is not about a change, or is about another store.
 * - `malformed`: the format is unknown, or a webhook names a store that it may not report about.
 * - `dropped`: a malformed message was delivered too often and deleted.
 * - `refused`: the sender is not authenticated or over the rate limit, or cannot be verified at the moment.
 */
type EventOutcome = 'taken' | 'unknown' | 'ignored' | 'malformed' | 'dropped' | 'refused';

export interface IntakeDeps {
  readonly submit: SubmitHints;
  /** Called for each message that contains no hint. `submit` counts all other messages. */
  readonly onSkipped: (outcome: Exclude<EventOutcome, 'taken' | 'unknown'>) => void;
  /** Called after each attempt to receive events, with the error if the attempt failed. */
  readonly onProgress: (error?: AppError) => void;
}

/** The part of a request that is available before its body is read. It is not authenticated yet. */
export interface RequestHead {
  /** Returns a header by its lower-case name. Repeated headers are joined by commas. */
  header(name: string): string | undefined;
  /** The value of the query parameter `key`. */
  readonly key: SecretValue | undefined;
}

interface WebhookRequest extends RequestHead {
  /** The raw bytes of the body, which the signature covers. */
  readonly body: Buffer;
  readonly requestId: string;
}

/** The handler for one entry of `events.webhooks`. */
export interface WebhookIntake {
  readonly origin: Origin;
  /** @throws AppError EVENT_REFUSED, INVALID_REQUEST, or the error if the webhook's key cannot be read. */
  accept(post: WebhookRequest): Promise<HintCounts>;
}

/** The code in the request that validates a new subscription. The response must contain this code. */
interface Handshake {
  readonly validationCode: string;
}

/** The handler for one entry of `events.eventGrid`. */
export interface EventGridIntake {
  readonly origin: Origin;
  /**
   * Authenticates a request before its body is read. @throws AppError EVENT_REFUSED, or the error if the key cannot be
   * read.
   */
  authenticate(head: RequestHead): Promise<void>;
  /** @throws AppError INVALID_REQUEST */
  accept(body: Buffer, requestId: string): HintCounts | Handshake;
}

/** The configured handlers for events over HTTP. */
export interface HttpIntakes {
  webhook(name: string): WebhookIntake | undefined;
  eventGrid(name: string): EventGridIntake | undefined;
  /** Called for each request that a handler refused, for the metrics. */
  onRefused?(origin: Origin, outcome: 'malformed' | 'refused'): void;
}
