import type { AppError } from '../core/errors.ts';
import type { LabelSelector } from '../core/label-selector.ts';
import type { LiveSecret, MergeManifest, OwnedFields, SecretChange, SecretManifest } from '../core/secret.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { TargetId } from '../core/target.ts';
import type { ConfigMapAnnotations, ObjectEvents, SelectedConfigMaps } from './team-ports.ts';
import type { WorkloadKind, Workloads } from './workloads.ts';

export type { LiveSecret, MergeManifest, SecretChange, SecretManifest };

/** The field manager name that the API server records for our fields (`metadata.managedFields`). */
export const FIELD_MANAGER = 'secretbridge';

/** `conflict`: the object changed since it was read, and nothing was written. The caller must read it again. */
export type WriteResult =
  | { readonly kind: 'written'; readonly resourceVersion: string }
  | { readonly kind: 'conflict' };

/** A permission check for one namespace, used by `doctor`. */
export interface AccessRequest {
  readonly namespace: string;
  readonly verb: 'get' | 'list' | 'create' | 'update' | 'patch' | 'delete';
  /** The name of the Secret. Leave it out for `create` and `list`. */
  readonly secret?: string;
  /** Checks access to this workload instead of Secrets. Without a name, checks access to all workloads of the kind. */
  readonly workload?: { readonly kind: WorkloadKind; readonly name?: string };
}

export type RemoveResult = { readonly kind: 'removed' } | { readonly kind: 'conflict' };

/**
 * Only `written` means that something was written. `conflict` without `keys`: the object changed, so the caller must
 * read it again. `conflict` with `keys`: other managers own these keys with other values, so a retry does not help.
 * Empty `keys` mean that the conflict is in a label or an annotation.
 */
export type MergeResult =
  | { readonly kind: 'written'; readonly resourceVersion: string }
  | { readonly kind: 'conflict'; readonly keys?: readonly string[] }
  | { readonly kind: 'missing' };

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface WriteOptions extends CallOptions {
  /** The API server validates the request without writing anything. */
  readonly dryRun?: boolean;
}

/** The metadata of a Secret from a watch, without the content. */
export interface SecretMeta {
  readonly id: TargetId;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly deleting: boolean;
  /** The fields that our field manager owns. `undefined`: we never wrote this object. */
  readonly ours: OwnedFields | undefined;
  /**
   * Whether another manager was the last writer of a part of the content that we write (data, type, immutability).
   * `unknown`: this cluster does not record field managers.
   */
  readonly foreign: boolean | 'unknown';
}

/**
 * Without `secret`, all Secrets of the namespace. With `secret`, one Secret, watched with a field selector (`scope:
 * names`).
 */
export interface WatchScope {
  readonly namespace: string;
  readonly secret?: string;
}

/** Handlers run one at a time, in the order of the events. */
export interface WatchHandlers {
  /**
   * Whether the caller needs the metadata of this Secret. For Secrets that the caller does not need, the watch keeps
   * only the names. Default: the caller needs all Secrets.
   */
  isOfInterest?(secret: string): boolean;
  /**
   * Called with the full list at the start and after each restart of the watch. If a Secret is missing from the list,
   * it was deleted.
   */
  listed(metas: readonly SecretMeta[]): void;
  changed(meta: SecretMeta): void;
  deleted(id: TargetId): void;
  /** Called for each sign of activity: a response, an event, a bookmark, or a failed attempt with its error. */
  progress(error?: AppError): void;
}

export interface NamespaceHandlers {
  /**
   * Called when a namespace has appeared, disappeared or changed its labels. Also called after the watch has restarted.
   */
  changed(): void;
  progress(error?: AppError): void;
}

/**
 * A Kubernetes cluster or a directory. Every failure is a typed error. A read returns `undefined` only if the Secret
 * definitely does not exist.
 */
export interface Cluster extends AsyncDisposable {
  /** Watches the metadata of the Secrets in a scope until disposed. Failures are retried. */
  watch(scope: WatchScope, handlers: WatchHandlers): AsyncDisposable;
  /** Watches all namespaces until disposed. Failures are retried. */
  watchNamespaces(handlers: NamespaceHandlers): AsyncDisposable;
  /** Reviews tokens and access. `undefined` if this cluster does not support reviews. */
  readonly identities: Identities | undefined;
  /** `undefined` if this cluster has no workloads. */
  readonly workloads: Workloads | undefined;
  /** `undefined` if this cluster has no ConfigMaps. */
  readonly configMaps: ConfigMaps | undefined;
  /** `undefined` if this cluster has no ConfigMaps. */
  readonly selectedConfigMaps: SelectedConfigMaps | undefined;
  /** `undefined` if this cluster has no events. */
  readonly objectEvents: ObjectEvents | undefined;
  /** `undefined` if this cluster has no ConfigMaps. */
  readonly configMapAnnotations: ConfigMapAnnotations | undefined;
  /** The address or path of the cluster, for display. */
  readonly address: string;
  /** Whether the process runs in this cluster with the service account of its pod. */
  readonly inCluster: boolean;
  read(id: TargetId, options?: CallOptions): Promise<LiveSecret | undefined>;
  create(id: TargetId, manifest: SecretManifest, options?: WriteOptions): Promise<WriteResult>;
  /**
   * Replaces the object only if it is unchanged since `live` was read. A different `uid` or `resourceVersion` is a
   * conflict.
   */
  replace(live: LiveSecret, change: SecretChange, options?: WriteOptions): Promise<WriteResult>;
  /**
   * Deletes the object only if it is unchanged since `live` was read. A different `uid` or `resourceVersion` is a
   * conflict. Returns `removed` also if the object is already gone or waits for its finalizers. While the object waits,
   * reads return it as `deleting`.
   */
  remove(live: LiveSecret, options?: WriteOptions): Promise<RemoveResult>;
  /**
   * Sets fields of the Secret by server-side apply without force. Later changes by others are not a conflict, unless
   * they own the same fields.
   */
  merge(live: LiveSecret, manifest: MergeManifest, options?: WriteOptions): Promise<MergeResult>;
  /** Returns the data keys of this Secret that a manager owns by server-side apply. */
  mergedKeys(live: LiveSecret, manager: string): readonly string[];
  /**
   * Returns the fields of this Secret that only these managers own by server-side apply. These managers can change such
   * fields without force.
   */
  exclusivelyOwned(live: LiveSecret, managers: readonly string[]): OwnedFields;
  /** Returns the Secrets of one namespace that carry a label. */
  list(
    namespace: string,
    label: { readonly name: string; readonly value: string },
    options?: CallOptions,
  ): Promise<readonly LiveSecret[]>;
  /** Returns the sorted names of the namespaces that the selector matches and that are not terminating. */
  namespaces(selector: LabelSelector, options?: CallOptions): Promise<readonly string[]>;
  /** Reads one key of a Secret in the namespace of secretbridge, for `secretRef`. */
  ownSecret(name: string, key: string, options?: CallOptions): Promise<SecretValue | undefined>;
  /** Returns the namespace in which secretbridge itself runs. No mapping may target this namespace. */
  ownNamespace(): string | undefined;
  checkAccess(question: AccessRequest, options?: CallOptions): Promise<boolean>;
  /**
   * Makes one cheap call to verify that the cluster answers and accepts our identity. Returns the cluster's time if the
   * response contains it.
   */
  ping(options?: CallOptions): Promise<{ readonly time?: number }>;
}

/** Called for each write request, with the RBAC verb of the request. */
export type OnWrite = (verb: 'create' | 'update' | 'patch' | 'delete') => void;

/** The open watches of a cluster. Disposing the cluster ends them. */
export interface OpenWatches extends AsyncDisposable {
  /** Registers a watch. Disposing the returned handle ends the watch and removes it. */
  add(watch: AsyncDisposable): AsyncDisposable;
}

export function createOpenWatches(): OpenWatches {
  const open = new Set<AsyncDisposable>();
  return {
    add(watch) {
      open.add(watch);
      return {
        async [Symbol.asyncDispose]() {
          open.delete(watch);
          await watch[Symbol.asyncDispose]();
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...open].map((watch) => watch[Symbol.asyncDispose]()));
      open.clear();
    },
  };
}

/** A user that the cluster has authenticated. */
export interface Caller {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  /** Extra fields from the authenticator, such as token scopes. Authorizers may use them. */
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export interface RoleReviewOptions extends CallOptions {
  /** Checks the role in this namespace. Default: in all namespaces. */
  readonly namespace?: string | undefined;
}

/** Authenticates callers of the HTTP API by their Kubernetes identity, and checks their permissions. */
export interface Identities {
  /**
   * Runs a TokenReview with this audience. Returns the user of the token, or `undefined` if the token is not valid.
   * https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
   */
  review(
    token: SecretValue,
    audience: string,
    options?: { signal?: AbortSignal },
  ): Promise<Caller | undefined>;
  /**
   * Checks by SubjectAccessReview whether the user has the verb `use` on resource `roles` of group `secretbridge.dev`
   * with this name.
   * https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/
   */
  canUseRole(caller: Caller, role: string, options?: RoleReviewOptions): Promise<boolean>;
}

/** A ConfigMap as read from the cluster. */
export interface ConfigMap {
  readonly data: Readonly<Record<string, string>>;
  readonly resourceVersion: string;
}

/** ConfigMaps store small public data of secretbridge in the cluster, such as audit checkpoints. */
export interface ConfigMaps {
  /** Returns `undefined` only if the ConfigMap definitely does not exist. */
  read(namespace: string, name: string, options?: CallOptions): Promise<ConfigMap | undefined>;
  /**
   * Replaces the ConfigMap if it is unchanged since `read`, or creates it if `read` is undefined. Keeps labels and
   * annotations of other writers. `conflict`: the ConfigMap has changed since `read`, and nothing was written.
   * @param options.dryRun The cluster validates the request and writes nothing.
   */
  write(
    place: { readonly namespace: string; readonly name: string },
    data: Readonly<Record<string, string>>,
    read: ConfigMap | undefined,
    options?: CallOptions & { readonly dryRun?: boolean | undefined },
  ): Promise<'written' | 'conflict'>;
}
