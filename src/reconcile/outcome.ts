import type { AppError } from '../core/errors.ts';
import type { Mapping } from '../core/mapping.ts';
import type { LiveSecret, MergeManifest } from '../core/secret.ts';
import type { TargetId } from '../core/target.ts';
import type { KeyPlan } from '../sync/compare.ts';
import type { Desired } from '../sync/desired.ts';
import type { Plan } from '../sync/plan.ts';

/** The outcome kinds in the order in which a summary prints them. */
export const OUTCOMES = ['created', 'updated', 'deleted', 'unchanged', 'refused', 'held', 'failed'] as const;
export type OutcomeKind = (typeof OUTCOMES)[number];

/** A target to destroy. The job of a target only proposes it. */
export interface Proposal {
  readonly mapping: string;
  /** The Secret as it was read when its ownership was checked. */
  readonly live: LiveSecret;
  readonly keys: readonly KeyPlan[];
  /** Only a person may release it. */
  readonly held: boolean;
  /** Set if only our keys in a foreign Secret are removed and the Secret stays. */
  readonly ending?: MergeManifest;
  /** The target that is created in its place at once. */
  readonly replacement?: Replacement;
}

export interface Replacement {
  readonly mapping: Mapping;
  readonly plan: Extract<Plan, { kind: 'create' }>;
  readonly desired: Desired;
}

/** A version of a source from which a target is made. */
export interface SourceVersion {
  readonly store: string;
  readonly key: string;
  readonly version: string;
  /** When the store created that version, in milliseconds since 1970. Left out if the store does not tell. */
  readonly createdAt?: number;
}

/** The result of one run of a target. */
export interface Outcome {
  readonly kind: OutcomeKind;
  readonly mapping: string;
  readonly target: TargetId;
  /** Why the target was refused, held or failed. */
  readonly error?: AppError;
  readonly keys: readonly KeyPlan[];
  /** Whether the target exists afterwards and is ours. */
  readonly alive: boolean;
  /** The target was changed or deleted by hand, and the mapping only reports drift. */
  readonly drifted?: boolean;
  /**
   * The current resource version, as written or read. Left out if the target does not exist or the version is unknown.
   */
  readonly resourceVersion?: string;
  /** Each version once. Left out if not all sources could be read. */
  readonly sources?: readonly SourceVersion[];
  /** For a `kubernetes.io/tls` target: when its certificate expires, in milliseconds since 1970. */
  readonly certificateExpiresAt?: number;
  /** Workload restarts are pending because of it. */
  readonly restarts?: boolean;
  /** The record to which the target is pinned. */
  readonly pinned?: number;
  /** With `held`: the proposal that the deletion step still has to decide on. */
  readonly proposal?: Proposal;
}
