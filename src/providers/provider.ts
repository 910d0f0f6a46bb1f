import type { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import type { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { ReadResult, SourceRef, StampedVersion } from '../core/reading.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Reference } from './credentials.ts';
import type { WayTaken } from './ways.ts';

export type { ReadResult, SourceRef };

/** The current version of a key without its value. `unknown`: the store did not tell, so a read must. */
export type VersionResult =
  | {
      readonly kind: 'known';
      readonly version: string;
      /** As in `ReadResult`, or somewhat later. */
      readonly createdAt?: number;
    }
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
  /** A permission that is missing and would only save requests: for lists of versions, or for batches of values. */
  readonly saves?: 'list' | 'batch';
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface VersionOptions extends CallOptions {
  /** What is on record of a key that this process has not read, for stores whose lists show a stamp and no version. */
  readonly recall?: ((key: string) => Promise<StampedVersion | undefined>) | undefined;
}

/** Told of what a store says by itself. Names only, which decide nothing: what they name is read afresh. */
export interface ChangeListener {
  /** The stream stands. What changed before, or while none stood, is not told. */
  onOpen(): void;
  /** From time to time while it stands, however quiet it is. */
  onAlive(): void;
  /** One message: the key that it is about; undefined for what tells of none of this store's. */
  onMessage(key: string | undefined): void;
}

export interface SecretProvider extends AsyncDisposable {
  /** One result for each reference, in their order. Never throws for what a store may answer. */
  read(refs: readonly SourceRef[], options?: CallOptions): Promise<readonly ReadResult[]>;
  /** A hint that a read is due; decides nothing. In the order of the keys. */
  versions(keys: readonly string[], options?: VersionOptions): Promise<readonly VersionResult[]>;
  /** The full keys below `path`, sorted. Fails whole when any part of the search fails. */
  find(query: FindQuery, options?: CallOptions): Promise<readonly string[]>;
  /** Reach, log in, look around: for `doctor`. Later checks are left out when an earlier one fails. */
  check(options?: CallOptions): Promise<readonly Check[]>;
  /**
   * Whether the store is in working order, by as few requests as show it, mostly one: asked when its calls fail, to
   * see whether it is the store or a key, and when it has come back. @throws AppError
   */
  probe(options?: CallOptions): Promise<void>;
  /**
   * Where a store tells of changes by itself: one stream, until it ends. Left out: it does not.
   * @throws AppError why it ended, or could not begin; the signal's reason once it is aborted.
   */
  subscribe?(listener: ChangeListener, options?: CallOptions): Promise<never>;
}

/**
 * Every kind of request to a store, as metrics name it: `read` a value, or a batch of them · `list` a page of names
 * or versions · `describe` one key or the mount, without values · `login` a login, its proof or renewal, or its end ·
 * `check` of `doctor` · `probe` see there · `other` unnamed.
 */
export type Operation = 'read' | 'list' | 'describe' | 'login' | 'check' | 'probe' | 'other';

export type Ended<T> = { readonly value: T } | { readonly error: unknown };

/** What the end of a request says of the store; undefined where it has answered as it should, also with a "no". */
export type FailureOf<T> = (ended: Ended<T>) => AppError | undefined;

export interface ProviderDeps {
  /** The store's name, for messages. */
  readonly name: string;
  readonly clock: Clock;
  readonly fingerprints: Fingerprinter;
  /** Told of each renewal of a login that a timer makes, so that one that stops can be seen. */
  readonly onRenewal?: (error?: AppError) => void;
  /** Told of the way that `versions` has chosen. */
  readonly onWay?: (taken: WayTaken) => void;
  /** The bytes behind a reference to a credential, read afresh at each call; CREDENTIAL_MISSING if there are none. */
  credential(reference: Reference): Promise<SecretValue>;
  /**
   * Runs one call to the store within its limits of rate, concurrency and time.
   * @param failureOf Where a failure is not simply an AppError that the call throws.
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
  /** The part of the configuration that is the store's own: without `name` and `limits`. */
  readonly Config: Schema;
  /** What the store can do; shared code asks this, never the kind. */
  readonly can: {
    /** Whether `versions` costs less than reading. */
    readonly tellVersions: boolean;
    readonly findByTags: boolean;
    /** So many values one request can give. Left out: one. */
    readonly readsPerCall?: number;
    /** So many keys are described one by one, where the store tells versions at all. Left out: none. */
    readonly describesUpTo?: number;
  };
  /** The fields that say which store it is (address, namespace, mount …), without credentials. */
  identity(config: z.output<Schema>): Readonly<Record<string, unknown>>;
  /** So many versions one page of a list tells, as it is configured. Left out or undefined: none. */
  versionsPerPage?(config: z.output<Schema>): number | undefined;
  /**
   * All the names by which an event may speak of a key; two keys that may mean the same have one in common. Left out:
   * a key has one name, and is told as it is configured.
   */
  keyNames?(key: string): readonly string[];
  create(config: z.output<Schema>, deps: ProviderDeps): Promise<SecretProvider>;
}

export function defineProvider<Kind extends string, Schema extends z.ZodType>(
  definition: ProviderDefinition<Kind, Schema>,
): ProviderDefinition<Kind, Schema> {
  return definition;
}
