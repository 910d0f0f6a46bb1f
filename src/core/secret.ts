import type { SecretValue } from './secret-value.ts';
import type { TargetId } from './target.ts';

/** A Kubernetes Secret in the cluster. */
export interface LiveSecret {
  readonly id: TargetId;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly type: string;
  readonly immutable: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly data: ReadonlyMap<string, SecretValue>;
  /** Whether an owner reference names a controller. Kubernetes then deletes the Secret together with its owner. */
  readonly controlled: boolean;
  readonly deleting: boolean;
  /** The labels and annotations that our field manager wrote last. Undefined if it never wrote this object. */
  readonly ours: { readonly labels: readonly string[]; readonly annotations: readonly string[] } | undefined;
}

/** The keys, labels and annotations that field managers own. */
export interface OwnedFields {
  readonly labels: readonly string[];
  readonly annotations: readonly string[];
  readonly data: readonly string[];
}

/** The desired state of a Secret. */
export interface SecretManifest {
  readonly type: string;
  readonly immutable: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly data: ReadonlyMap<string, SecretValue>;
}

/** Keeps labels and annotations of other writers. `drop…` lists our own ones that are no longer wanted. */
export interface SecretChange extends SecretManifest {
  readonly dropLabels: readonly string[];
  readonly dropAnnotations: readonly string[];
  readonly dropOwners: boolean;
}

/**
 * Our keys in a Secret that somebody else owns (`mode: merge`). They are written with a server-side apply without
 * force.
 */
export interface MergeManifest {
  /** The field manager, `secretbridge.<instance>.<mapping>`. The API server uses it to track the owner of each key. */
  readonly manager: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /**
   * The complete set of our keys after the apply. Our keys that are missing here are removed, and an empty map ends the
   * merge.
   */
  readonly data: ReadonlyMap<string, SecretValue>;
}
