import type { ErrorCode } from '../../../src/core/error-codes.ts';

/** The stores in the order of the table's columns. */
export const STORES = {
  'vault-2': 'Vault, key/value 2',
  'vault-1': 'Vault, key/value 1',
  aws: 'AWS Secrets Manager',
  parameters: 'AWS Parameter Store',
  azure: 'Azure',
  files: 'files',
} as const;
export type StoreName = keyof typeof STORES;

/** The value of one key. Vault secrets are maps, so text that is not a JSON object is stored in the member `value`. */
export interface Stored {
  readonly key: string;
  readonly value: string | Uint8Array;
  /** True if the value is a JSON object, which Vault can store directly. */
  readonly isObject: boolean;
  readonly tags?: Readonly<Record<string, string>>;
}

/** The parts of a mapping that differ between stores. */
export interface At {
  /** A key of this case, or a prefix of keys. */
  key(name: string): string;
  /**
   * The YAML that makes a source read the whole text. For Vault, this YAML names the property that contains the text.
   * Empty for other stores.
   */
  readonly whole: string;
  /** The versions of the entries in `stored`, in the same order. */
  readonly versions: readonly string[];
  /** A version that never existed. */
  readonly never: string;
}

export type Gives =
  | { readonly data: Readonly<Record<string, string | Uint8Array>> }
  | { readonly code: ErrorCode };

export type Exception =
  /** The store cannot store this value. */
  | { readonly kind: 'cannot'; readonly why: string }
  /**
   * The result differs from the result of other stores. If the store changes the value, `keeps` is the text that it
   * stores.
   */
  | { readonly kind: 'differs'; readonly keeps?: string; readonly gives: Gives; readonly why: string };

export interface ValueCase {
  readonly title: string;
  readonly stored: readonly Stored[];
  /** The sources and further fields of the mapping, in YAML flow style. */
  readonly mapping: (at: At) => string;
  readonly gives: Gives;
  /** The exceptions by store. `vault` stands for both versions of the key/value engine. */
  readonly but?: Partial<Readonly<Record<StoreName | 'vault', Exception>>>;
}

export interface Group {
  readonly title: string;
  readonly cases: readonly ValueCase[];
}

export function exceptionOf({ but = {} }: ValueCase, store: StoreName): Exception | undefined {
  return but[store] ?? (store.startsWith('vault') ? but.vault : undefined);
}
