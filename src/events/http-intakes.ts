import type { SecretValue } from '../core/secret-value.ts';
import type { HintCounts, Origin } from './hint.ts';

/** The part of a request that is known before its body is read. None of it is authenticated yet. */
export interface RequestHead {
  /** Takes a name in lower case. Repeated headers are joined by commas. */
  header(name: string): string | undefined;
  /** The query parameter `key`. */
  readonly key: SecretValue | undefined;
}

export interface WebhookRequest extends RequestHead {
  /** The raw bytes that were signed. */
  readonly body: Buffer;
  readonly requestId: string;
}

/** One entry of `events.webhooks`. */
export interface WebhookIntake {
  readonly origin: Origin;
  /** @throws AppError EVENT_REFUSED, INVALID_REQUEST, or the error of reading its key. */
  accept(post: WebhookRequest): Promise<HintCounts>;
}

/** A validation request of a new subscription. The response must return the code. */
export interface Handshake {
  readonly validationCode: string;
}

/** One entry of `events.eventGrid`. */
export interface EventGridIntake {
  readonly origin: Origin;
  /**
   * Authenticates a request before its body is read. @throws AppError EVENT_REFUSED, or the error of reading its key.
   */
  authenticate(head: RequestHead): Promise<void>;
  /** @throws AppError INVALID_REQUEST */
  accept(body: Buffer, requestId: string): HintCounts | Handshake;
}

/** The intakes that receive events over HTTP, as currently configured. */
export interface HttpIntakes {
  webhook(name: string): WebhookIntake | undefined;
  eventGrid(name: string): EventGridIntake | undefined;
  /** Called for each request that an intake refused, for the metrics. */
  onRefused?(origin: Origin, outcome: 'malformed' | 'refused'): void;
}
