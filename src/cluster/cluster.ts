import type { AppError } from '../core/errors.ts';
import type { LiveSecret, MergeManifest, OwnedFields, SecretChange, SecretManifest } from '../core/secret.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { TargetId } from '../core/target.ts';
import type { ConfigMaps } from './config-maps.ts';
import type { Identities } from './identities.ts';
import type { WorkloadKind, Workloads } from './workloads.ts';

export type { LiveSecret, MergeManifest, SecretChange, SecretManifest };

/** The field manager name that the API server records for our fields (`metadata.managedFields`). */
export const FIELD_MANAGER = 'secretbridge';

/** `conflict`: the object changed since it was read, and nothing was written. Read it and decide again. */
export type WriteResult =
  | { readonly kind: 'written'; readonly resourceVersion: string }
  | { readonly kind: 'conflict' };

/** An access check for one namespace, as `doctor` uses it. */
export interface AccessRequest {
  readonly namespace: string;
  readonly verb: 'get' | 'list' | 'create' | 'update' | 'patch' | 'delete';
  /** A Secret's name; leave it out for `create` and `list`. */
  readonly secret?: string;
  /** Checks this workload instead of Secrets. Without a name, it checks all workloads of the kind. */
  readonly workload?: { readonly kind: WorkloadKind; readonly name?: string };
}

export type RemoveResult = { readonly kind: 'removed' } | { readonly kind: 'conflict' };

/**
 * Only `written` means that something was written. `conflict` with `keys`: other managers hold these keys with other
 * values, so a retry does not help. An empty list means that the conflict is in a label or an annotation. `conflict`
 * without `keys`: read and decide again.
 */
export type MergeResult =
  | { readonly kind: 'written'; readonly resourceVersion: string }
  | { readonly kind: 'conflict'; readonly keys?: readonly string[] }
  | { readonly kind: 'missing' };

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface WriteOptions extends CallOptions {
  /** Let the API server validate the request without writing anything. */
  readonly dryRun?: boolean;
}

/** The metadata of a Secret, as a watch reports it. It has no content. */
export interface SecretMeta {
  readonly id: TargetId;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly deleting: boolean;
  /** The fields that our field manager holds. `undefined`: we never wrote this object. */
  readonly ours: OwnedFields | undefined;
  /**
   * Whether another manager last wrote part of the content that we write (data, type, immutability). `unknown`: this
   * cluster does not record it.
   */
  readonly foreign: boolean | 'unknown';
}

/** All Secrets of a namespace, or one Secret by name (a watch with a field selector, for `scope: names`). */
export interface WatchScope {
  readonly namespace: string;
  readonly secret?: string;
}

/** Handlers run one at a time, in the order of the events. */
export interface WatchHandlers {
  /** For other Secrets only the names are needed. Default: all Secrets are of interest. */
  isOfInterest?(secret: string): boolean;
  /**
   * Called with the full list, at the start and whenever the watch restarts. A Secret that is not in it was deleted.
   */
  listed(metas: readonly SecretMeta[]): void;
  changed(meta: SecretMeta): void;
  deleted(id: TargetId): void;
  /** The watch is active: a response, an event, a bookmark, or an attempt that failed with an error. */
  progress(error?: AppError): void;
}

export interface NamespaceHandlers {
  /** A namespace appeared, disappeared or changed its labels, or the watch restarted. */
  changed(): void;
  progress(error?: AppError): void;
}

/**
 * A Kubernetes cluster or a directory. Every failure is a typed error. `undefined` means only that the Secret itself
 * definitely does not exist.
 */
export interface Cluster extends AsyncDisposable {
  /** Watches the metadata of the Secrets in a scope until disposed. Failures are retried. */
  watch(scope: WatchScope, handlers: WatchHandlers): AsyncDisposable;
  /** Watches the namespaces in the same way. */
  watchNamespaces(handlers: NamespaceHandlers): AsyncDisposable;
  /** Token and access reviews, and workloads. `undefined`: not supported by this cluster. */
  readonly identities: Identities | undefined;
  readonly workloads: Workloads | undefined;
  /** `undefined`: not supported by this cluster. */
  readonly configMaps: ConfigMaps | undefined;
  /** The address or path of the cluster, for display. */
  readonly address: string;
  /** Whether the process runs in this cluster with the identity of its pod. */
  readonly inCluster: boolean;
  read(id: TargetId, options?: CallOptions): Promise<LiveSecret | undefined>;
  create(id: TargetId, manifest: SecretManifest, options?: WriteOptions): Promise<WriteResult>;
  /** Replaces exactly the object that was read. A different `uid` or `resourceVersion` is a conflict. */
  replace(live: LiveSecret, change: SecretChange, options?: WriteOptions): Promise<WriteResult>;
  /**
   * Deletes exactly the object that was read. A different `uid` or `resourceVersion` is a conflict. The result is
   * `removed` if the object is already gone, or if finalizers still hold it. While finalizers hold it, it is read as
   * `deleting`.
   */
  remove(live: LiveSecret, options?: WriteOptions): Promise<RemoveResult>;
  /** Applies fields by server-side apply without force to the Secret that was read, even if others changed it since. */
  merge(live: LiveSecret, manifest: MergeManifest, options?: WriteOptions): Promise<MergeResult>;
  /** The data keys that a manager holds by server-side apply in a Secret that was read. */
  mergedKeys(live: LiveSecret, manager: string): readonly string[];
  /** The fields that only these managers hold by server-side apply. These managers can change them without force. */
  exclusivelyOwned(live: LiveSecret, managers: readonly string[]): OwnedFields;
  /** The Secrets of one namespace that carry a label. */
  list(
    namespace: string,
    label: { readonly name: string; readonly value: string },
    options?: CallOptions,
  ): Promise<readonly LiveSecret[]>;
  /** The sorted names of the namespaces that carry all these labels and are not terminating. */
  namespaces(
    matchLabels: Readonly<Record<string, string>>,
    options?: CallOptions,
  ): Promise<readonly string[]>;
  /** One key of a Secret in the bridge's own namespace, for `secretRef`. */
  ownSecret(name: string, key: string, options?: CallOptions): Promise<SecretValue | undefined>;
  /** The bridge's own namespace, which no mapping may target. */
  ownNamespace(): string | undefined;
  checkAccess(question: AccessRequest, options?: CallOptions): Promise<boolean>;
  /**
   * One cheap call that shows that the cluster answers and accepts our identity. Returns the cluster's clock if it
   * reports one.
   */
  ping(options?: CallOptions): Promise<{ readonly time?: number }>;
}
