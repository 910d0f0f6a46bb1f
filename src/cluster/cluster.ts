import type { LiveSecret, SecretChange, SecretManifest } from '../core/secret.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { TargetId } from '../core/target.ts';

export type { LiveSecret, SecretChange, SecretManifest };

/** The name under which the API server notes which fields are ours (`metadata.managedFields`). */
export const FIELD_MANAGER = 'secretbridge';

/** `conflict`: somebody was faster, nothing was written; read and decide again. */
export type WriteResult =
  | { readonly kind: 'written'; readonly resourceVersion: string }
  | { readonly kind: 'conflict' };

/** What the identity may do in one namespace, as `doctor` asks. */
export interface AccessQuestion {
  readonly namespace: string;
  readonly verb: 'get' | 'create' | 'update' | 'delete';
  /** A name, or none for `create`. */
  readonly secret?: string;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface CreateOptions extends CallOptions {
  /** Let the cluster check everything and write nothing. */
  readonly dryRun?: boolean;
}

/** Every failure is a typed error; only a definite "not found" of the Secret itself is `undefined`. */
export interface Cluster extends AsyncDisposable {
  /** Its address or path, for people. */
  readonly address: string;
  /** Whether we run in this cluster, under the identity of our pod. */
  readonly inCluster: boolean;
  read(id: TargetId, options?: CallOptions): Promise<LiveSecret | undefined>;
  create(id: TargetId, manifest: SecretManifest, options?: CreateOptions): Promise<WriteResult>;
  /** Replaces exactly the object that was read: another `uid` or `resourceVersion` is a conflict. */
  replace(live: LiveSecret, change: SecretChange, options?: CallOptions): Promise<WriteResult>;
  /** A key of a Secret in the bridge's own namespace: for `secretRef`. */
  ownSecret(name: string, key: string, options?: CallOptions): Promise<SecretValue | undefined>;
  /** The bridge's own namespace: no mapping may target it. */
  ownNamespace(): string | undefined;
  may(question: AccessQuestion, options?: CallOptions): Promise<boolean>;
  /** One cheap call that shows the cluster answers and accepts who we are; its clock if it tells. */
  ping(options?: CallOptions): Promise<{ readonly time?: number }>;
}
