import type { AppError } from '../core/errors.ts';
import type { Mapping } from '../core/mapping.ts';
import type { LiveSecret, MergeManifest } from '../core/secret.ts';
import type { TargetId } from '../core/target.ts';
import type { KeyPlan } from '../sync/compare.ts';
import type { Desired } from '../sync/desired.ts';
import type { Plan } from '../sync/plan.ts';

/** The words of a summary, in the order in which people read them. */
export const OUTCOMES = ['created', 'updated', 'deleted', 'unchanged', 'refused', 'held', 'failed'] as const;
export type OutcomeKind = (typeof OUTCOMES)[number];

/** A target that is to be destroyed: a target's own job only proposes it. */
export interface Proposal {
  readonly mapping: string;
  /** As it was read when it was shown to be ours. */
  readonly live: LiveSecret;
  readonly keys: readonly KeyPlan[];
  /** Only a person may let it happen. */
  readonly held: boolean;
  /** Only our keys in a Secret of somebody else end, and the Secret stays. */
  readonly ending?: MergeManifest;
  /** What takes its place at once. */
  readonly replacement?: Replacement;
}

export interface Replacement {
  readonly mapping: Mapping;
  readonly plan: Extract<Plan, { kind: 'create' }>;
  readonly desired: Desired;
}

/** A version of something in a store of which a target is made. */
export interface SourceVersion {
  readonly store: string;
  readonly key: string;
  readonly version: string;
  /** When that version was made, if the store tells: milliseconds since 1970. */
  readonly createdAt?: number;
}

/** What happened to one target. */
export interface Outcome {
  readonly kind: OutcomeKind;
  readonly mapping: string;
  readonly target: TargetId;
  /** Why it is refused, held or failed. */
  readonly error?: AppError;
  readonly keys: readonly KeyPlan[];
  /** Whether the target is there afterwards, and ours. */
  readonly alive: boolean;
  /** Somebody changed or deleted it by hand, and the mapping wants that reported only. */
  readonly drifted?: boolean;
  /** What the target has now, as it was written or else read. Left out: it is not there, or that is not known. */
  readonly resourceVersion?: string;
  /** Each once, when all could be read. */
  readonly sources?: readonly SourceVersion[];
  /** Of a `kubernetes.io/tls` target: when its certificate ends, in milliseconds since 1970. */
  readonly certificateExpiresAt?: number;
  /** Workloads wait to be restarted because of it. */
  readonly restarts?: boolean;
  /** The record to whose versions it is pinned. */
  readonly pinned?: number;
  /** With `held`: what the destroying step has yet to decide on. */
  readonly proposal?: Proposal;
}
