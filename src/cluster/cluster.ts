import type { AppError } from '../core/errors.ts';
import type { Holdings, LiveSecret, MergeManifest, SecretChange, SecretManifest } from '../core/secret.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { TargetId } from '../core/target.ts';
import type { ConfigMaps } from './config-maps.ts';
import type { Identities } from './identities.ts';
import type { WorkloadKind, Workloads } from './workloads.ts';

export type { Holdings, LiveSecret, MergeManifest, SecretChange, SecretManifest };

/** The name under which the API server notes which fields are ours (`metadata.managedFields`). */
export const FIELD_MANAGER = 'secretbridge';

/** `conflict`: somebody was faster, nothing was written; read and decide again. */
export type WriteResult =
  | { readonly kind: 'written'; readonly resourceVersion: string }
  | { readonly kind: 'conflict' };

/** What the identity may do in one namespace, as `doctor` asks. */
export interface AccessQuestion {
  readonly namespace: string;
  readonly verb: 'get' | 'list' | 'create' | 'update' | 'patch' | 'delete';
  /** A name, or none for `create` and `list`. */
  readonly secret?: string;
  /** Asked about instead of Secrets. Without a name: all of them. */
  readonly workload?: { readonly kind: WorkloadKind; readonly name?: string };
}

export type RemoveResult = { readonly kind: 'removed' } | { readonly kind: 'conflict' };

/**
 * Nothing was written unless it says so. `conflict` with `keys`: others hold these keys with other values, which
 * no second try will change (empty: a label or an annotation); without: read and decide again.
 */
export type MergeResult =
  | { readonly kind: 'written'; readonly resourceVersion: string }
  | { readonly kind: 'conflict'; readonly keys?: readonly string[] }
  | { readonly kind: 'missing' };

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface WriteOptions extends CallOptions {
  /** Let the cluster check everything and write nothing. */
  readonly dryRun?: boolean;
}

/** What a watch tells of a Secret: everything but its content. */
export interface SecretMeta {
  readonly id: TargetId;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly deleting: boolean;
  /** What our field manager holds. `undefined`: it never wrote this object. */
  readonly ours: Holdings | undefined;
  /**
   * Whether somebody else wrote a part of what we write (data, type, immutability) last. `unknown`: this cluster
   * does not note it.
   */
  readonly foreign: boolean | 'unknown';
}

/** All Secrets of a namespace, or one by its name (a watch by field selector, as `scope: names` needs). */
export interface WatchScope {
  readonly namespace: string;
  readonly secret?: string;
}

/** Called one at a time, in the order of what happened. */
export interface WatchHandlers {
  /** Of the others nothing but their names need be told. Left out: all are of interest. */
  isOfInterest?(secret: string): boolean;
  /** The whole of the scope, at the start and whenever the watch had to begin anew: what is not in it is gone. */
  listed(found: readonly SecretMeta[]): void;
  changed(meta: SecretMeta): void;
  gone(id: TargetId): void;
  /** The watch lives: an answer, an event, a bookmark, or an attempt that failed with an error. */
  progress(error?: AppError): void;
}

export interface NamespaceHandlers {
  /** A namespace appeared, left or changed its labels; or the watch had to begin anew. */
  changed(): void;
  progress(error?: AppError): void;
}

/** Every failure is a typed error; only a definite "not found" of the Secret itself is `undefined`. */
export interface Cluster extends AsyncDisposable {
  /** Follows the Secrets of a scope until it is disposed; whatever happens it goes on. Reads no content. */
  watch(scope: WatchScope, handlers: WatchHandlers): AsyncDisposable;
  /** Follows the namespaces in the same way. */
  watchNamespaces(handlers: NamespaceHandlers): AsyncDisposable;
  /** Who its identities are, and its workloads; `undefined`: this cluster has none. */
  readonly identities: Identities | undefined;
  readonly workloads: Workloads | undefined;
  /** `undefined`: this cluster has none. */
  readonly configMaps: ConfigMaps | undefined;
  /** Its address or path, for people. */
  readonly address: string;
  /** Whether we run in this cluster, under the identity of our pod. */
  readonly inCluster: boolean;
  read(id: TargetId, options?: CallOptions): Promise<LiveSecret | undefined>;
  create(id: TargetId, manifest: SecretManifest, options?: WriteOptions): Promise<WriteResult>;
  /** Replaces exactly the object that was read: another `uid` or `resourceVersion` is a conflict. */
  replace(live: LiveSecret, change: SecretChange, options?: WriteOptions): Promise<WriteResult>;
  /**
   * Deletes exactly the object that was read: another `uid` or `resourceVersion` is a conflict. Gone already is
   * `removed`, and so is what finalizers hold: it is ending, and `deleting` until they let it go.
   */
  remove(live: LiveSecret, options?: WriteOptions): Promise<RemoveResult>;
  /** By server-side apply without force, into the Secret that was read, however others changed it since. */
  merge(live: LiveSecret, manifest: MergeManifest, options?: WriteOptions): Promise<MergeResult>;
  /** The keys that a manager holds by server-side apply in a Secret that was read. */
  mergedKeys(live: LiveSecret, manager: string): readonly string[];
  /** What these managers hold by server-side apply, and nobody beside them: they may change that without force. */
  heldAlone(live: LiveSecret, managers: readonly string[]): Holdings;
  /** The Secrets of one namespace that carry a label, by name. */
  list(
    namespace: string,
    label: { readonly name: string; readonly value: string },
    options?: CallOptions,
  ): Promise<readonly LiveSecret[]>;
  /** The names of the namespaces that carry all these labels and are not ending, sorted. */
  namespaces(
    matchLabels: Readonly<Record<string, string>>,
    options?: CallOptions,
  ): Promise<readonly string[]>;
  /** A key of a Secret in the bridge's own namespace: for `secretRef`. */
  ownSecret(name: string, key: string, options?: CallOptions): Promise<SecretValue | undefined>;
  /** The bridge's own namespace: no mapping may target it. */
  ownNamespace(): string | undefined;
  may(question: AccessQuestion, options?: CallOptions): Promise<boolean>;
  /** One cheap call that shows the cluster answers and accepts who we are; its clock if it tells. */
  ping(options?: CallOptions): Promise<{ readonly time?: number }>;
}
