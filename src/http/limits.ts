/** What the server bears from whoever reaches its port. */
export interface Limits {
  readonly bodyBytes: number;
  readonly headerBytes: number;
  /** For the headers, and for the handshake of TLS: whoever is slower is cut off. */
  readonly headersMs: number;
  /** For the whole request. */
  readonly requestMs: number;
  /** Of silence in both directions; longer than the longest answer takes to begin. */
  readonly silenceMs: number;
  readonly keepAliveMs: number;
  readonly connections: number;
  /** Of one address, so that none keeps the probes of the cluster out. */
  readonly connectionsOfOne: number;
  /** Of one address within `windowMs`, probes aside. */
  readonly requests: number;
  readonly windowMs: number;
  /** Events are counted apart, for each kind: a flood of them must not shut out the rest of an address. */
  readonly webhookBytes: number;
  /** Event Grid sends lists of up to this size, and never again what is answered with 413. */
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
  connectionsOfOne: 500,
  requests: 1_000,
  windowMs: 60_000,
  webhookBytes: 16 * 1024,
  eventGridBytes: 1024 * 1024,
};
