/** A request whose body has arrived completely. */
export interface Incoming {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface Reply {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * The vendor-specific part of a fake store. The server in `serve.ts` runs this part, and counts and delays the
 * requests.
 */
export interface FakeStore {
  put(key: string, value: string): void;
  /** @param address The address of the server. */
  answer(incoming: Incoming, address: string): Reply & { readonly operation: string };
  /** The environment variables that a client of this store needs. */
  readonly env: (address: string) => Readonly<Record<string, string>>;
}

/** Request counts by the vendor's operation name. */
export interface Counts {
  readonly calls: Readonly<Record<string, number>>;
  readonly connections: number;
}

/** A command from the parent process. The fake store replies to each command. */
export type Command =
  | { readonly kind: 'put'; readonly values: Readonly<Record<string, string>> }
  | { readonly kind: 'counts' }
  | { readonly kind: 'latency'; readonly ms: number }
  | { readonly kind: 'quota'; readonly perSecond: number | undefined };
