import type { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import type { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { ReadResult, SourceRef, StampedVersion } from '../core/read-result.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Reference } from './credentials.ts';
import type { ChosenStrategy } from './read-strategy.ts';

export type { ReadResult, SourceRef };

/**
 * The current version of a key without its value. `unknown` means that the store did not report it, so the key must be
 * read.
 */
export type VersionResult =
  | {
      readonly kind: 'known';
      readonly version: string;
      /** As in `ReadResult`, or slightly later. */
      readonly createdAt?: number;
    }
  | { readonly kind: 'unknown' };

export interface FindQuery {
  /** A key prefix that ends at a `/`. Empty for all keys. */
  readonly path: string;
  /** All of them must match exactly. */
  readonly tags: Readonly<Record<string, string>>;
}

/** The result of one check by `doctor`. */
export interface Check {
  readonly name: string;
  readonly error?: AppError;
  /** A missing permission that would only save requests: to list versions, or to read values in batches. */
  readonly saves?: 'list' | 'batch';
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface VersionOptions extends CallOptions {
  /**
   * Returns the last recorded version of a key that this process has not read. Used for stores whose lists show a stamp
   * instead of a version.
   */
  readonly lastReadVersion?: ((key: string) => Promise<StampedVersion | undefined>) | undefined;
}

/** Receives change notifications from a store. They only contain names, and the named keys are always read again. */
export interface ChangeListener {
  /** The stream is connected. Changes while it was not connected are not reported. */
  onOpen(): void;
  /** Called from time to time while the stream is alive, even without messages. */
  onAlive(): void;
  /** One message with the affected key, or undefined if it concerns no key of this store. */
  onMessage(key: string | undefined): void;
}

export interface SecretProvider extends AsyncDisposable {
  /** Returns one result for each reference, in order. Never throws for any answer of the store. */
  read(refs: readonly SourceRef[], options?: CallOptions): Promise<readonly ReadResult[]>;
  /** Hints which keys have changed and must be read. In the order of the keys. */
  versions(keys: readonly string[], options?: VersionOptions): Promise<readonly VersionResult[]>;
  /** Returns the full keys below `path`, sorted. The whole search fails if any part of it fails. */
  find(query: FindQuery, options?: CallOptions): Promise<readonly string[]>;
  /** Checks connection, login and permissions for `doctor`. A failed check skips the checks after it. */
  check(options?: CallOptions): Promise<readonly Check[]>;
  /**
   * Checks whether the store works, with as few requests as possible. Used when calls fail, to distinguish a failing
   * store from a failing key, and to detect recovery. @throws AppError
   */
  probe(options?: CallOptions): Promise<void>;
  /**
   * Receives change notifications from the store until the stream ends. Unset if the store does not send any.
   * @throws AppError with the reason why the stream ended or could not start; the signal's reason once it is aborted.
   */
  subscribe?(listener: ChangeListener, options?: CallOptions): Promise<never>;
}

/**
 * The kinds of requests to a store, as used in metrics: `read` a value or a batch · `list` a page of names or versions
 * · `describe` a key or mount without values · `login` a login, its check, renewal or revocation · `check` by `doctor`
 * · `probe` · `other`.
 */
export type Operation = 'read' | 'list' | 'describe' | 'login' | 'check' | 'probe' | 'other';

export type Settled<T> = { readonly value: T } | { readonly error: unknown };

/**
 * What the result of a request says about the store. Undefined if the store answered properly, even if it denied the
 * request.
 */
export type FailureOf<T> = (ended: Settled<T>) => AppError | undefined;

export interface ProviderDeps {
  /** The store's name, for messages. */
  readonly name: string;
  readonly clock: Clock;
  readonly fingerprints: Fingerprinter;
  /** Called after each renewal of a login by a timer, so that failing renewals are visible. */
  readonly onRenewal?: (error?: AppError) => void;
  /** Called with the strategy that `versions` has chosen. */
  readonly onStrategy?: (strategy: ChosenStrategy) => void;
  /** Reads a referenced credential on each call. Fails with CREDENTIAL_MISSING if it is missing. */
  credential(reference: Reference): Promise<SecretValue>;
  /**
   * Runs one call to the store within its limits for rate, concurrency and time.
   * @param failureOf Needed if a failure is not simply an AppError that the call throws.
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
  /** The store-specific part of the configuration, without `name` and `limits`. */
  readonly Config: Schema;
  /** The capabilities of the store. Shared code checks these, never the kind. */
  readonly can: {
    /** Whether `versions` costs less than reading. */
    readonly tellVersions: boolean;
    readonly findByTags: boolean;
    /** The number of values that one request can return. Default: 1. */
    readonly readsPerCall?: number;
    /** The number of keys up to which keys are described one by one, if the store reports versions. Default: 0. */
    readonly describesUpTo?: number;
  };
  /** The fields that identify the store (address, namespace, mount …), without credentials. */
  identity(config: z.output<Schema>): Readonly<Record<string, unknown>>;
  /** The number of versions on one page of a list with this configuration. Undefined if lists contain no versions. */
  versionsPerPage?(config: z.output<Schema>): number | undefined;
  /**
   * All names that an event may use for a key. Two keys that may mean the same secret share a name. By default, a
   * key has one name, as configured.
   */
  keyNames?(key: string): readonly string[];
  create(config: z.output<Schema>, deps: ProviderDeps): Promise<SecretProvider>;
}

export function defineProvider<Kind extends string, Schema extends z.ZodType>(
  definition: ProviderDefinition<Kind, Schema>,
): ProviderDefinition<Kind, Schema> {
  return definition;
}
