/** The limits that protect the server against its clients. */
export interface Limits {
  readonly bodyBytes: number;
  readonly headerBytes: number;
  /** The timeout for receiving the headers, and for the TLS handshake. */
  readonly headersMs: number;
  /** The timeout for receiving the whole request. */
  readonly requestMs: number;
  /**
   * The timeout without data in either direction. It must be longer than the slowest response needs for its first byte.
   */
  readonly silenceMs: number;
  readonly keepAliveMs: number;
  readonly connections: number;
  /** The maximum for one address, so that a single client cannot lock out the cluster's probes. */
  readonly connectionsPerAddress: number;
  /** The maximum number of requests of one address within `windowMs`. Probes are not counted. */
  readonly requests: number;
  readonly windowMs: number;
  /** The maximum size of a webhook event. */
  readonly webhookBytes: number;
  /**
   * The maximum size of an Event Grid batch. Event Grid sends batches of up to this size, and never retries after
   * status 413.
   */
  readonly eventGridBytes: number;
}

export const LIMITS: Limits = {
  bodyBytes: 64 * 1024,
  headerBytes: 16 * 1024,
  headersMs: 10_000,
  requestMs: 15_000,
  silenceMs: 120_000,
  keepAliveMs: 60_000,
  connections: 1_000,
  connectionsPerAddress: 500,
  requests: 1_000,
  windowMs: 60_000,
  webhookBytes: 16 * 1024,
  eventGridBytes: 1024 * 1024,
};
