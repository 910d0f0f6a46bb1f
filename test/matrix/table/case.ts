import type { ErrorCode } from '../../../src/core/error-codes.ts';

/** The stores of the table, in the order of its columns. */
export const STORES = {
  'vault-2': 'Vault, key/value 2',
  'vault-1': 'Vault, key/value 1',
  aws: 'AWS',
  azure: 'Azure',
  files: 'files',
} as const;
export type StoreName = keyof typeof STORES;

/** One key of a store. A secret of Vault is a map: text that is no object stands in its member `value`. */
export interface Stored {
  readonly key: string;
  readonly value: string | Uint8Array;
  /** Whether the value is a JSON object, which Vault holds as it is. */
  readonly isObject: boolean;
  readonly tags?: Readonly<Record<string, string>>;
}

/** What a mapping is written with, since stores differ in names. */
export interface At {
  /** A key of this case, or the beginning of keys. */
  key(name: string): string;
  /** Ends a source that takes a whole text: nothing, or the property that Vault holds it in. */
  readonly whole: string;
  /** What each entry of `stored` became, in their order. */
  readonly versions: readonly string[];
  /** A version that the store never had. */
  readonly never: string;
}

export type Gives =
  | { readonly data: Readonly<Record<string, string | Uint8Array>> }
  | { readonly code: ErrorCode };

export type Exception =
  /** The store has no place for it at all. */
  | { readonly kind: 'cannot'; readonly why: string }
  /** `keeps`: what the store makes of the text of the (only) value. */
  | { readonly kind: 'differs'; readonly keeps?: string; readonly gives: Gives; readonly why: string };

export interface ValueCase {
  readonly title: string;
  readonly stored: readonly Stored[];
  /** The rest of the mapping, in YAML's flow style. */
  readonly mapping: (at: At) => string;
  readonly gives: Gives;
  /** `vault` stands for both versions. */
  readonly but?: Partial<Readonly<Record<StoreName | 'vault', Exception>>>;
}

export interface Group {
  readonly title: string;
  readonly cases: readonly ValueCase[];
}

export function exceptionOf({ but = {} }: ValueCase, store: StoreName): Exception | undefined {
  return but[store] ?? (store.startsWith('vault') ? but.vault : undefined);
}
