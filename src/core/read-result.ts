import type { AppError } from './errors.ts';
import type { SecretValue } from './secret-value.ts';

/** Identifies what to read from a store. `property` and `decode` are applied later, by `src/sync/value.ts`. */
export interface SourceRef {
  readonly key: string;
  /** A version in the store's own form. Default: the current version. */
  readonly version?: string;
  /** Azure Key Vault only. */
  readonly object?: 'secret' | 'certificate' | 'key';
}

/**
 * Whether the reference is to the current value of a secret. Only such references can be read in a batch or checked
 * with a list.
 */
export function isCurrentSecretRef({ version, object }: Pick<SourceRef, 'version' | 'object'>): boolean {
  return version === undefined && object === undefined;
}

export type SourceObject = NonNullable<SourceRef['object']>;

/** Objects of different types can have the same name in a store. Each of them exists independently. */
export function objectTypeOf({ object }: { readonly object?: SourceObject | undefined }): SourceObject {
  return object ?? 'secret';
}

/**
 * The result of reading one reference. `absent` means that the store proved that the source does not exist, and only
 * `absent` may lead to a deletion. Every other problem is `failed`, and affects only this reference.
 */
export type ReadResult = {
  /**
   * The key to which links in the store lead from the key that was read. Set only if it is another key. The rules must
   * allow this key too.
   */
  readonly resolvedKey?: string;
} & (
  | {
      readonly kind: 'found';
      /** The bytes as stored. */
      readonly value: SecretValue;
      /** The JSON text that properties are read from. Set if it differs from the value, as for a YAML file. */
      readonly object?: SecretValue;
      /** The store's version, or a fingerprint of the value if the store has no versions. */
      readonly version: string;
      /** The creation time of this version in milliseconds since 1970, if the store reports it. */
      readonly createdAt?: number;
      /**
       * When the value expires according to the store, in milliseconds since 1970. `null`: the store says that it does
       * not expire. Absent: the store does not say.
       */
      readonly expiresAt?: number | null;
      /** Identifies the current version in lists of the store. Only for stores whose lists contain no versions. */
      readonly stamp?: string;
    }
  | {
      readonly kind: 'absent';
      /** Only for messages. */
      readonly place?: SearchedPlace;
    }
  | { readonly kind: 'failed'; readonly error: AppError }
);

/** The place in which a store did not find a source. */
export interface SearchedPlace {
  /** The name of the place, such as `region eu-west-1`. */
  readonly name: string;
  /** The setting of the store that chooses the place. */
  readonly setting: string;
}

export type FoundRead = Extract<ReadResult, { kind: 'found' }>;

/** A version with its stamp. The stamp identifies the version in lists of the store. */
export interface StampedVersion {
  readonly version: string;
  /** As in `ReadResult`. */
  readonly stamp: string;
}

export interface StoreRef {
  readonly store: string;
  readonly ref: SourceRef;
  /** The `refId`, if it is known already. Then all maps that are keyed by it share one text, to save memory. */
  readonly id?: string;
}

/** Returns an id for a reference. Two references that one read can serve have the same id. */
export function refId({ store, ref, id }: StoreRef): string {
  if (id !== undefined) return id;
  // Short, because there are tens of thousands of them. The name of a store contains no space and no bracket.
  return isCurrentSecretRef(ref)
    ? [store, ref.key].join(' ')
    : JSON.stringify([store, ref.key, ref.version, ref.object]);
}

/** Returns the total size in bytes of the values in all results. */
export function totalSizeOf(results: ReadonlyMap<string, ReadResult>): number {
  return [...results.values()].reduce((sum, result) => sum + sizeOf(result), 0);
}

/** Returns the size in bytes of the values in one result. */
export function sizeOf(result: ReadResult): number {
  return result.kind === 'found' ? result.value.size + (result.object?.size ?? 0) : 0;
}

/** An appended audit record that may not be durable yet. Records become durable in order. */
export interface PendingRecord {
  readonly durable: Promise<unknown>;
}
