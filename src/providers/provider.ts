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
 * The current version of a key, without its value. `unknown` means that the store did not report the version, so the
 * key must be read.
 */
export type VersionResult =
  | {
      readonly kind: 'known';
      readonly version: string;
      /** The creation time of the version, as in `ReadResult`. May be slightly later than the exact time. */
      readonly createdAt?: number;
      /** When the value expires, as in `ReadResult`. */
      readonly expiresAt?: number | null;
    }
  | { readonly kind: 'unknown' };

export interface FindQuery {
  /** The folder to search in. For a store without folders, the start of the names. An empty path finds all keys. */
  readonly path: string;
  /** A secret must have all of these tags with exactly these values. */
  readonly tags: Readonly<Record<string, string>>;
}

/** The result of one check by `doctor`. */
export interface Check {
  readonly name: string;
  readonly error?: AppError;
  /**
   * The operation that needs a missing permission: to `list` versions, or to read values in a `batch`. Such an
   * operation only saves requests. Undefined if no such permission is missing.
   */
  readonly saves?: 'list' | 'batch';
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface VersionOptions extends CallOptions {
  /**
   * Returns the last recorded version of a key. Called only for a key that this process has not read yet. Needed by
   * stores whose lists contain a time of change instead of a version.
   */
  readonly lastReadVersion?: ((key: string) => Promise<StampedVersion | undefined>) | undefined;
}

/** Receives the events of a store's change stream. */
export interface ChangeListener {
  /** Called when the stream is connected. The stream does not report earlier changes. */
  onOpen(): void;
  /** Called regularly as long as the stream works, even if there are no messages. */
  onAlive(): void;
  /** Called for each message. The key is undefined if the message concerns no key of this store. */
  onMessage(key: string | undefined): void;
}

export interface SecretProvider extends AsyncDisposable {
  /** Returns one result for each reference, in order. An error of the store is a result too, and is not thrown. */
  read(refs: readonly SourceRef[], options?: CallOptions): Promise<readonly ReadResult[]>;
  /**
   * Returns the current versions of keys, in the order of the keys. The caller then reads only the keys whose version
   * changed or is unknown.
   */
  versions(keys: readonly string[], options?: VersionOptions): Promise<readonly VersionResult[]>;
  /** Returns the full keys below `path`, sorted. If any part of the search fails, the whole search fails. */
  find(query: FindQuery, options?: CallOptions): Promise<readonly string[]>;
  /**
   * Checks connection, login and permissions for the command `doctor`. After a failed check, the remaining checks are
   * skipped.
   */
  check(options?: CallOptions): Promise<readonly Check[]>;
  /**
   * Checks whether the store works, with as few requests as possible. After failed calls, this check shows whether the
   * whole store or a single key is the problem. Later it shows that the store works again. @throws AppError
   */
  probe(options?: CallOptions): Promise<void>;
  /**
   * Follows the store's change notifications until their stream ends. Undefined if this kind of store sends none.
   * @throws AppError that tells why the stream ended or could not start.
   * @throws The signal's reason once it is aborted.
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
 * Returns the error if the result of a request shows a problem of the store. Returns undefined if the store responded
 * properly, even if it denied the request.
 */
export type FailureOf<T> = (ended: Settled<T>) => AppError | undefined;

export interface ProviderDeps {
  /** The store's name, for messages. */
  readonly name: string;
  readonly clock: Clock;
  readonly fingerprints: Fingerprinter;
  /** Called after each automatic renewal of a login. The error is set if the renewal failed. */
  readonly onRenewal?: (error?: AppError) => void;
  /** Called when `versions` has chosen a strategy. */
  readonly onStrategy?: (strategy: ChosenStrategy) => void;
  /** Reads a credential. Each call reads it again. Fails with CREDENTIAL_MISSING if the credential does not exist. */
  credential(reference: Reference): Promise<SecretValue>;
  /**
   * Runs one call to the store, within the store's limits for rate, concurrency and time.
   * @param failureOf Returns the error of a call, or undefined if the call succeeded. By default, a call fails if it
   * throws an AppError.
   */
  limit<T>(
    call: (signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
    operation?: Operation,
    failureOf?: FailureOf<T>,
  ): Promise<T>;
}

export interface StoreWarning {
  /** The field of the store that the warning is about. */
  readonly field: string;
  readonly message: string;
}

export interface ProviderDefinition<Kind extends string = string, Schema extends z.ZodType = z.ZodType> {
  readonly kind: Kind;
  readonly title: string;
  /** The configuration schema for stores of this kind. It does not include `name` and `limits`. */
  readonly Config: Schema;
  /** Returns the rules for keys, versions and searches. The fields of `store` are not validated yet. */
  names(store: StoreFields): NameRules;
  /** The capabilities of this kind of store. Shared code asks for a capability, and never for the kind. */
  readonly can: {
    /** Whether `versions` can need fewer requests than reading all keys. */
    readonly tellVersions: boolean;
    readonly findByTags: boolean;
    /** The number of values that one request can return. Default: 1. */
    readonly readsPerCall?: number;
    /**
     * For up to this many keys, `versions` describes each key instead of listing or reading. Only for stores that
     * report versions. Default: 0.
     */
    readonly describesUpTo?: number;
  };
  /**
   * For up to this time after a deletion, the store may report a key as absent although it can still be recovered, in
   * milliseconds. Two reads of an absence must be at least this far apart. Default: 0.
   */
  readonly deletionLagMs?: number;
  /** Returns the fields that identify the store (address, namespace, mount …), without credentials. */
  identity(config: z.output<Schema>): Readonly<Record<string, unknown>>;
  /** Returns a warning about a valid configuration that is probably a mistake. Sends no request. */
  warning?(config: z.output<Schema>): StoreWarning | undefined;
  /**
   * Returns how many versions one page of a list contains with this configuration. Returns undefined if lists contain
   * no versions.
   */
  versionsPerPage?(config: z.output<Schema>): number | undefined;
  /**
   * Returns all names that an event may use for a key. If two keys may mean the same secret, they must have a name in
   * common. By default, the only name is the key in the configuration.
   */
  keyNames?(key: string): readonly string[];
  create(config: z.output<Schema>, deps: ProviderDeps): Promise<SecretProvider>;
}

export function defineProvider<Kind extends string, Schema extends z.ZodType>(
  definition: ProviderDefinition<Kind, Schema>,
): ProviderDefinition<Kind, Schema> {
  return definition;
}
