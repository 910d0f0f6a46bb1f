import type { AppError } from '../core/errors.ts';
import type { Mapping } from '../core/mapping.ts';
import type { LiveSecret } from '../core/secret.ts';
import type { TargetId } from '../core/target.ts';
import type { Desired } from '../sync/desired.ts';
import type { MergePlanManifest } from '../sync/merge.ts';
import type { KeyPlan, Plan } from '../sync/plan.ts';

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
  readonly ending?: MergePlanManifest;
  /** What takes its place at once. */
  readonly replacement?: Replacement;
}

export interface Replacement {
  readonly mapping: Mapping;
  readonly plan: Extract<Plan, { kind: 'create' }>;
  readonly desired: Desired;
}

/** What happened to one target. */
export interface Outcome {
  readonly kind: OutcomeKind;
  readonly mapping: string;
  readonly target: TargetId;
  /** Why it is refused, held or failed. */
  readonly error?: AppError;
  readonly keys: readonly KeyPlan[];
  /** Whether the target is there afterwards. */
  readonly alive: boolean;
  /** With `held`: what the destroying step has yet to decide on. */
  readonly proposal?: Proposal;
}
