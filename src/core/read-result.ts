import type { AppError } from './errors.ts';
import type { SecretValue } from './secret-value.ts';

/** A request to a store. `property` and `decode` are not part of it: `src/sync/value.ts` applies them. */
export interface SourceRef {
  readonly key: string;
  /** The store's own version. Without it, the current version is read. */
  readonly version?: string;
  /** Azure Key Vault only. */
  readonly object?: 'secret' | 'certificate' | 'key';
}

/**
 * Whether the reference is to the current value of a secret. Only these can be read in a batch or covered by a list.
 */
export function isCurrentSecretRef({ version, object }: Pick<SourceRef, 'version' | 'object'>): boolean {
  return version === undefined && object === undefined;
}

export type SourceObject = NonNullable<SourceRef['object']>;

/** Objects of different types can share a name in a store. Each of them exists independently. */
export function objectTypeOf({ object }: { readonly object?: SourceObject | undefined }): SourceObject {
  return object ?? 'secret';
}

/**
 * The result of reading one reference. It is `absent` only if the store proved that the source does not exist, and only
 * `absent` may lead to a deletion. Every other problem is `failed`, for this reference alone.
 */
export type ReadResult =
  | {
      readonly kind: 'found';
      /** The bytes as stored. */
      readonly value: SecretValue;
      /** The JSON text that properties are read from, if it differs from the value (a YAML file). */
      readonly object?: SecretValue;
      /** The store's version, or the value's fingerprint if the store has no versions. */
      readonly version: string;
      /** When this version was created, if the store reports it. Milliseconds since 1970. */
      readonly createdAt?: number;
      /** The mark of the current version in the lists of the store, if these lists show no version. */
      readonly stamp?: string;
    }
  | { readonly kind: 'absent' }
  | { readonly kind: 'failed'; readonly error: AppError };

export type FoundRead = Extract<ReadResult, { kind: 'found' }>;

/** A version with the stamp that lists of its store show while the version is current. */
export interface StampedVersion {
  readonly version: string;
  /** See `ReadResult`. */
  readonly stamp: string;
}

export interface StoreRef {
  readonly store: string;
  readonly ref: SourceRef;
}

/** An id that is equal for two references that the same read can serve. */
export function refId({ store, ref }: StoreRef): string {
  return JSON.stringify([store, ref.key, ref.version, ref.object]);
}

/** The size of all values in bytes. */
export function totalSizeOf(results: ReadonlyMap<string, ReadResult>): number {
  return [...results.values()].reduce((sum, result) => sum + sizeOf(result), 0);
}

/** The size of the values in bytes. */
export function sizeOf(result: ReadResult): number {
  return result.kind === 'found' ? result.value.size + (result.object?.size ?? 0) : 0;
}
