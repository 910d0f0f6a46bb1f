import type { AppError } from './errors.ts';
import type { SecretValue } from './secret-value.ts';

/** What a store is asked for. `property` and `decode` are not its business: `src/sync/value.ts` applies them. */
export interface SourceRef {
  readonly key: string;
  /** The store's own version; the current one when left out. */
  readonly version?: string;
  /** Azure Key Vault only. */
  readonly object?: 'secret' | 'certificate' | 'key';
}

/** Whether it asks for the current value, which a batch gives and of which a list tells. */
export function isPlain({ version, object }: Pick<SourceRef, 'version' | 'object'>): boolean {
  return version === undefined && object === undefined;
}

export type SourceObject = NonNullable<SourceRef['object']>;

/** Several objects of a store may share one name: each of them is there, or is not, by itself. */
export function objectOf({ object }: { readonly object?: SourceObject | undefined }): SourceObject {
  return object ?? 'secret';
}

/**
 * What came of one reference. `absent` only where the store itself said so, by the proof of its kind: nothing
 * else may ever lead to a deletion. Whatever else goes wrong is `failed`, for this reference alone.
 */
export type ReadResult =
  | {
      readonly kind: 'found';
      /** The bytes as the store holds them. */
      readonly value: SecretValue;
      /** The JSON text that properties are taken from, where that is not the value itself (a YAML file). */
      readonly object?: SecretValue;
      /** The store's version, or the value's fingerprint where the store has none. */
      readonly version: string;
      /** When this version was made, if the store tells: milliseconds since 1970. */
      readonly createdAt?: number;
      /** What lists of the store show as long as this version is the current one, where they show no version. */
      readonly stamp?: string;
    }
  | { readonly kind: 'absent' }
  | { readonly kind: 'failed'; readonly error: AppError };

export type FoundRead = Extract<ReadResult, { kind: 'found' }>;

/** A version with what lists of its store show as long as it is the current one. */
export interface StampedVersion {
  readonly version: string;
  /** As in `ReadResult`. */
  readonly stamp: string;
}

export interface StoreRef {
  readonly store: string;
  readonly ref: SourceRef;
}

/** The same for two references that one read serves. */
export function refId({ store, ref }: StoreRef): string {
  return JSON.stringify([store, ref.key, ref.version, ref.object]);
}

/** Of all their values, in bytes. */
export function sizeOfAll(results: ReadonlyMap<string, ReadResult>): number {
  return [...results.values()].reduce((sum, result) => sum + sizeOf(result), 0);
}

/** Of its values, in bytes. */
export function sizeOf(result: ReadResult): number {
  return result.kind === 'found' ? result.value.size + (result.object?.size ?? 0) : 0;
}
