import type { SecretValue } from '../core/secret-value.ts';
import type { HintCounts, Origin } from './hint.ts';

/** The part of a request that is available before its body is read. It is not authenticated yet. */
export interface RequestHead {
  /** Returns a header by its lower-case name. Repeated headers are joined by commas. */
  header(name: string): string | undefined;
  /** The value of the query parameter `key`. */
  readonly key: SecretValue | undefined;
}

export interface WebhookRequest extends RequestHead {
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

/** The code in a new subscription's validation request. The response must contain it. */
export interface Handshake {
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
