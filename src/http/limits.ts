/** The resource limits of the server against its clients. */
export interface Limits {
  readonly bodyBytes: number;
  readonly headerBytes: number;
  /** The timeout for the headers and for the TLS handshake. */
  readonly headersMs: number;
  /** The timeout for the whole request. */
  readonly requestMs: number;
  /** The timeout without data in either direction. It must exceed the time that the slowest response takes to begin. */
  readonly silenceMs: number;
  readonly keepAliveMs: number;
  readonly connections: number;
  /** The limit for one address, so that no client shuts out the cluster's probes. */
  readonly connectionsPerAddress: number;
  /** Requests of one address within `windowMs`, without probes. */
  readonly requests: number;
  readonly windowMs: number;
  /**
   * Events have limits of their own for each intake: a flood of events must not shut out other requests of the address.
   */
  readonly webhookBytes: number;
  /** Event Grid sends batches of up to this size, and never retries after a 413. */
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
