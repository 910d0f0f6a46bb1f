/** A complete request. */
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

/** The behavior of a fake store without its server, which counts and delays all of them alike. */
export interface FakeStore {
  put(key: string, value: string): void;
  /** @param address The address of the server. */
  answer(incoming: Incoming, address: string): Reply & { readonly operation: string };
  /** The environment variables of its clients. */
  readonly env: (address: string) => Readonly<Record<string, string>>;
}

/** Counts by the vendor's operation name. */
export interface Counts {
  readonly calls: Readonly<Record<string, number>>;
  readonly connections: number;
}

/** A command of the parent process. Each one gets a reply. */
export type Command =
  | { readonly kind: 'put'; readonly values: Readonly<Record<string, string>> }
  | { readonly kind: 'counts' }
  | { readonly kind: 'latency'; readonly ms: number };
