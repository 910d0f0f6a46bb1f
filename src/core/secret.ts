import type { SecretValue } from './secret-value.ts';
import type { TargetId } from './target.ts';

/** A Kubernetes Secret as the cluster has it. */
export interface LiveSecret {
  readonly id: TargetId;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly type: string;
  readonly immutable: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly data: ReadonlyMap<string, SecretValue>;
  /** Whether an owner reference names a controller: its end would take the Secret along. */
  readonly controlled: boolean;
  readonly deleting: boolean;
  /** What our field manager wrote last. `undefined`: it never wrote this object. */
  readonly ours: { readonly labels: readonly string[]; readonly annotations: readonly string[] } | undefined;
}

/** Keys, labels and annotations that field managers hold. */
export interface Holdings {
  readonly labels: readonly string[];
  readonly annotations: readonly string[];
  readonly data: readonly string[];
}

/** A Secret as it should be. */
export interface SecretManifest {
  readonly type: string;
  readonly immutable: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly data: ReadonlyMap<string, SecretValue>;
}

/** Labels and annotations of others stay; `drop` names those of ours that are no longer wanted. */
export interface SecretChange extends SecretManifest {
  readonly dropLabels: readonly string[];
  readonly dropAnnotations: readonly string[];
  readonly dropOwners: boolean;
}

/** Keys of ours in a Secret of somebody else (`mode: merge`), as an apply without force is to make them ours. */
export interface MergeManifest {
  /** `secretbridge.<instance>.<mapping>`: the API server keeps apart by it whose key is whose. */
  readonly manager: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Exactly what is to be ours afterwards; keys of ours that are not in it go. Empty ends the merge. */
  readonly data: ReadonlyMap<string, SecretValue>;
}
