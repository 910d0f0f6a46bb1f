import type { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import type { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { ReadResult, SourceRef, StampedVersion } from '../core/read-result.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Reference } from './credentials.ts';
import type { NameRules, StoreFields } from './name-rules.ts';
import type { ChosenStrategy } from './read-strategy.ts';

export type { ReadResult, SourceRef };

/**
 * The current version of a key, without its value. `unknown` means that the key must be read, because the store did not
 * report its version.
 */
export type VersionResult =
  | {
      readonly kind: 'known';
      readonly version: string;
      /** The creation time, as in `ReadResult`, or a slightly later time. */
      readonly createdAt?: number;
    }
  | { readonly kind: 'unknown' };

export interface FindQuery {
  /** The folder to search in, or a name prefix for stores without folders. Empty for all keys. */
  readonly path: string;
  /** All tags must match exactly. */
  readonly tags: Readonly<Record<string, string>>;
}

/** The result of one check by `doctor`. */
export interface Check {
  readonly name: string;
  readonly error?: AppError;
  /** Set if a permission is missing that would only save requests: to list versions, or to read values in batches. */
  readonly saves?: 'list' | 'batch';
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface VersionOptions extends CallOptions {
  /**
   * Returns the last recorded version of a key that this process has not read yet. For stores whose lists contain a
   * stamp instead of a version.
   */
  readonly lastReadVersion?: ((key: string) => Promise<StampedVersion | undefined>) | undefined;
}

/** Receives the events of a store's change stream. */
export interface ChangeListener {
  /** Called when the stream is connected. Changes before that are not reported. */
  onOpen(): void;
  /** Called regularly while the stream is working, even if there are no messages. */
  onAlive(): void;
  /** Called for each message with the affected key, or undefined if no key of this store is affected. */
  onMessage(key: string | undefined): void;
}

export interface SecretProvider extends AsyncDisposable {
  /** Returns one result for each reference, in order. Errors of the store are results and are not thrown. */
  read(refs: readonly SourceRef[], options?: CallOptions): Promise<readonly ReadResult[]>;
  /** Returns the current versions of keys, in the order of the keys. They show which keys must be read. */
  versions(keys: readonly string[], options?: VersionOptions): Promise<readonly VersionResult[]>;
  /** Returns the full keys below `path`, sorted. If any part of the search fails, the whole search fails. */
  find(query: FindQuery, options?: CallOptions): Promise<readonly string[]>;
  /** Checks connection, login and permissions for `doctor`. After a failed check, the remaining checks are skipped. */
  check(options?: CallOptions): Promise<readonly Check[]>;
  /**
   * Checks whether the store works, with as few requests as possible. Used after failed calls, to distinguish a failing
   * store from a failing key and to detect recovery. @throws AppError
   */
  probe(options?: CallOptions): Promise<void>;
  /**
   * Receives change notifications until the stream ends. Unset if stores of this kind do not send notifications.
   * @throws AppError with the reason why the stream ended or could not start; the signal's reason once it is aborted.
   */
  subscribe?(listener: ChangeListener, options?: CallOptions): Promise<never>;
}

/**
 * The kinds of requests to a store, as used in metrics:
 * - `read`: read a value or a batch.
 * - `list`: list a page of names or versions.
 * - `describe`: describe a key or mount without values.
 * - `login`: create, check, renew or revoke a login.
 * - `check`: a check by `doctor`.
 * - `probe` and `other`.
 */
export type Operation = 'read' | 'list' | 'describe' | 'login' | 'check' | 'probe' | 'other';

export type Settled<T> = { readonly value: T } | { readonly error: unknown };

/**
 * Returns the error if the result of a request shows a problem of the store. Undefined if the store responded properly,
 * even if it denied the request.
 */
export type FailureOf<T> = (ended: Settled<T>) => AppError | undefined;

export interface ProviderDeps {
  /** The store's name, for messages. */
  readonly name: string;
  readonly clock: Clock;
  readonly fingerprints: Fingerprinter;
  /** Called after each automatic renewal of a login, with the error if it failed. */
  readonly onRenewal?: (error?: AppError) => void;
  /** Called with the strategy that `versions` has chosen. */
  readonly onStrategy?: (strategy: ChosenStrategy) => void;
  /** Reads the referenced credential, on each call. Fails with CREDENTIAL_MISSING if it does not exist. */
  credential(reference: Reference): Promise<SecretValue>;
  /**
   * Runs one call to the store, within its limits for rate, concurrency and time.
   * @param failureOf Determines the failure of a call. By default, a call fails if it throws an AppError.
   */
  limit<T>(
    call: (signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
    operation?: Operation,
    failureOf?: FailureOf<T>,
  ): Promise<T>;
}

export interface ProviderDefinition<Kind extends string = string, Schema extends z.ZodType = z.ZodType> {
  readonly kind: Kind;
  readonly title: string;
  /** The schema of the store-specific configuration, without `name` and `limits`. */
  readonly Config: Schema;
  /** The rules for keys, versions and searches. `store` is not validated yet. */
  names(store: StoreFields): NameRules;
  /** The capabilities of this kind of store. Shared code checks capabilities, never the kind. */
  readonly can: {
    /** Whether `versions` can need fewer requests than reading. */
    readonly tellVersions: boolean;
    readonly findByTags: boolean;
    /** The number of values that one request can return. Default: 1. */
    readonly readsPerCall?: number;
    /** Up to this many keys are described one by one. Only for stores that report versions. Default: 0. */
    readonly describesUpTo?: number;
  };
  /** Returns the fields that identify the store (address, namespace, mount …), without credentials. */
  identity(config: z.output<Schema>): Readonly<Record<string, unknown>>;
  /**
   * Returns the number of versions on one page of a list with this configuration. Undefined if lists contain no
   * versions.
   */
  versionsPerPage?(config: z.output<Schema>): number | undefined;
  /**
   * Returns all names that an event may use for a key. Two keys that may mean the same secret must share a name. By
   * default, the only name is the key as configured.
   */
  keyNames?(key: string): readonly string[];
  create(config: z.output<Schema>, deps: ProviderDeps): Promise<SecretProvider>;
}

export function defineProvider<Kind extends string, Schema extends z.ZodType>(
  definition: ProviderDefinition<Kind, Schema>,
): ProviderDefinition<Kind, Schema> {
  return definition;
}
