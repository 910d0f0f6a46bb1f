import type { SecretValue } from '../core/secret-value.ts';
import type { Origin, Taken } from './hint.ts';

/** What a request says before its body is read. Nothing of it is to be believed yet. */
export interface PostHead {
  /** By its name in lower case; several of one name come joined by commas. */
  header(name: string): string | undefined;
  /** The parameter `key` of the address. */
  readonly key: SecretValue | undefined;
}

export interface WebhookPost extends PostHead {
  /** The bytes that were signed. */
  readonly body: Buffer;
  readonly requestId: string;
}

/** Webhooks of one name. */
export interface WebhookIntake {
  readonly origin: Origin;
  /** @throws AppError EVENT_REFUSED, INVALID_REQUEST, or what kept its key from being read. */
  accept(post: WebhookPost): Promise<Taken>;
}

/** What a subscription sends to find out whether its events are wanted; the code is to be sent back. */
export interface Handshake {
  readonly validationCode: string;
}

/** One subscription of Azure Event Grid. */
export interface EventGridIntake {
  readonly origin: Origin;
  /** Before the body is read. @throws AppError EVENT_REFUSED, or what kept its key from being read. */
  admit(head: PostHead): Promise<void>;
  /** @throws AppError INVALID_REQUEST */
  accept(body: Buffer, requestId: string): Taken | Handshake;
}

/** What the HTTP server needs of the intakes that are posted to, as configured at the moment. */
export interface PostedIntakes {
  webhook(name: string): WebhookIntake | undefined;
  eventGrid(name: string): EventGridIntake | undefined;
  /** Told of each request that an intake did not take, for the metrics. */
  onRefused?(origin: Origin, outcome: 'malformed' | 'refused'): void;
}
