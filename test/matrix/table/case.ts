import type { ErrorCode } from '../../../src/core/error-codes.ts';

/** The stores of the table, in column order. */
export const STORES = {
  'vault-2': 'Vault, key/value 2',
  'vault-1': 'Vault, key/value 1',
  aws: 'AWS',
  azure: 'Azure',
  files: 'files',
} as const;
export type StoreName = keyof typeof STORES;

/** One key of a store. A Vault secret is a map, so text that is not an object is stored in its member `value`. */
export interface Stored {
  readonly key: string;
  readonly value: string | Uint8Array;
  /** Whether the value is a JSON object, which Vault stores directly. */
  readonly isObject: boolean;
  readonly tags?: Readonly<Record<string, string>>;
}

/** The values to write the mapping with, because names differ between stores. */
export interface At {
  /** A key of this case, or a key prefix. */
  key(name: string): string;
  /** The end of a source that reads a whole text: empty, or the property that Vault stores it in. */
  readonly whole: string;
  /** The keys of the entries in `stored`, in order. */
  readonly versions: readonly string[];
  /** A version that never existed. */
  readonly never: string;
}

export type Gives =
  | { readonly data: Readonly<Record<string, string | Uint8Array>> }
  | { readonly code: ErrorCode };

export type Exception =
  /** The store cannot hold this value. */
  | { readonly kind: 'cannot'; readonly why: string }
  /** `keeps`: how the store changes the text of the (only) value. */
  | { readonly kind: 'differs'; readonly keeps?: string; readonly gives: Gives; readonly why: string };

export interface ValueCase {
  readonly title: string;
  readonly stored: readonly Stored[];
  /** The rest of the mapping in YAML flow style. */
  readonly mapping: (at: At) => string;
  readonly gives: Gives;
  /** `vault` covers both versions. */
  readonly but?: Partial<Readonly<Record<StoreName | 'vault', Exception>>>;
}

export interface Group {
  readonly title: string;
  readonly cases: readonly ValueCase[];
}

export function exceptionOf({ but = {} }: ValueCase, store: StoreName): Exception | undefined {
  return but[store] ?? (store.startsWith('vault') ? but.vault : undefined);
}
