import type { SecretValue } from '../core/secret-value.ts';
import type { ChannelRules } from '../core/troubles.ts';
import type { Reference } from '../providers/credentials.ts';
import type { Message } from './message.ts';

/** What all kinds of channels have in common. */
interface CommonChannel extends ChannelRules {
  /** Whether the address may be in a private network, or on this machine. */
  readonly allowPrivate: boolean;
}

export interface WebhookChannel extends CommonChannel {
  readonly kind: 'webhook';
  readonly url: Reference;
  /** The key that signs the messages. */
  readonly secret: Reference;
}

export interface SlackChannel extends CommonChannel {
  readonly kind: 'slack';
  readonly url: Reference;
}

export interface EmailChannel extends CommonChannel {
  readonly kind: 'email';
  /** The receivers, separated by commas. */
  readonly address: Reference;
  readonly from: string;
  readonly server: MailServer;
}

export interface MailServer {
  readonly host: string;
  readonly port: number;
  /** `startTls`: begin without TLS and require it before the login · `tls`: TLS from the start · `none` */
  readonly security: 'startTls' | 'tls' | 'none';
  readonly caFile?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: Reference | undefined;
}

/** An entry of `notify` in the configuration. */
export type Channel = WebhookChannel | SlackChannel | EmailChannel;

export interface SendDeps {
  readonly credential: (reference: Reference) => Promise<SecretValue>;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** Sends a message once. @throws AppError NOTIFY_FAILED or CREDENTIAL_MISSING */
export type Send<Kind extends Channel['kind']> = (
  channel: Extract<Channel, { readonly kind: Kind }>,
  message: Message,
  deps: SendDeps,
) => Promise<void>;
