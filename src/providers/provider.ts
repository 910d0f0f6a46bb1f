import type { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import type { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { ReadResult, SourceRef } from '../core/reading.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Reference } from './credentials.ts';

export type { ReadResult, SourceRef };

/** The current version of a key without its value. `unknown`: the store did not tell, so a read must. */
export type VersionResult =
  | { readonly kind: 'known'; readonly version: string }
  | { readonly kind: 'unknown' };

export interface FindQuery {
  /** A prefix of the key, cut at a `/`. Empty: everything. */
  readonly path: string;
  /** Each must match exactly. */
  readonly tags: Readonly<Record<string, string>>;
}

/** One question that `doctor` asks a store, and the answer. */
export interface Check {
  readonly name: string;
  readonly error?: AppError;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface SecretProvider extends AsyncDisposable {
  /** One result for each reference, in their order. Never throws for what a store may answer. */
  read(refs: readonly SourceRef[], options?: CallOptions): Promise<readonly ReadResult[]>;
  /** A hint that a read is due; decides nothing. In the order of the keys. */
  versions(keys: readonly string[], options?: CallOptions): Promise<readonly VersionResult[]>;
  /** The full keys below `path`, sorted. Fails whole when any part of the search fails. */
  find(query: FindQuery, options?: CallOptions): Promise<readonly string[]>;
  /** Reach, log in, look around: for `doctor`. Later checks are left out when an earlier one fails. */
  check(options?: CallOptions): Promise<readonly Check[]>;
}

export interface ProviderDeps {
  /** The store's name, for messages. */
  readonly name: string;
  readonly clock: Clock;
  readonly fingerprints: Fingerprinter;
  /** The bytes behind a reference to a credential, read afresh at each call; CREDENTIAL_MISSING if there are none. */
  credential(reference: Reference): Promise<SecretValue>;
  /** Runs one call to the store within its limits of rate, concurrency and time. */
  limit<T>(call: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T>;
}

export interface ProviderDefinition<Kind extends string = string, Schema extends z.ZodType = z.ZodType> {
  readonly kind: Kind;
  readonly title: string;
  /** The part of the configuration that is the store's own: without `name` and `limits`. */
  readonly Config: Schema;
  /** What the store can do; shared code asks this, never the kind. */
  readonly can: {
    /** Whether `versions` costs less than reading. */
    readonly tellVersions: boolean;
    readonly findByTags: boolean;
  };
  /** The fields that say which store it is (address, namespace, mount …), without credentials. */
  identity(config: z.output<Schema>): Readonly<Record<string, unknown>>;
  create(config: z.output<Schema>, deps: ProviderDeps): Promise<SecretProvider>;
}

export function defineProvider<Kind extends string, Schema extends z.ZodType>(
  definition: ProviderDefinition<Kind, Schema>,
): ProviderDefinition<Kind, Schema> {
  return definition;
}
