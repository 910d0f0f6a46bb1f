/** One request as it came in, whole. */
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

/** What a store answers, without its server: so that all of them are counted and delayed alike. */
export interface Double {
  put(key: string, value: string): void;
  /** @param address Of the server itself. */
  answer(incoming: Incoming, address: string): Reply & { readonly operation: string };
  /** Environment of whoever uses it. */
  readonly env: (address: string) => Readonly<Record<string, string>>;
}

/** By operation, as the store's vendor names it. */
export interface Counts {
  readonly calls: Readonly<Record<string, number>>;
  readonly connections: number;
}

/** What the parent tells the process of a double; each is answered. */
export type Order =
  | { readonly kind: 'put'; readonly values: Readonly<Record<string, string>> }
  | { readonly kind: 'counts' }
  | { readonly kind: 'latency'; readonly ms: number };
