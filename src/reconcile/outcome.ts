import type { AppError } from '../core/errors.ts';
import type { TargetId } from '../core/target.ts';
import type { KeyPlan } from '../sync/plan.ts';

/** The words of a summary, in the order in which people read them. */
export const OUTCOMES = ['created', 'updated', 'deleted', 'unchanged', 'refused', 'held', 'failed'] as const;
export type OutcomeKind = (typeof OUTCOMES)[number];

/** What happened to one target. */
export interface Outcome {
  readonly kind: OutcomeKind;
  readonly mapping: string;
  readonly target: TargetId;
  /** Why it is refused, held or failed. */
  readonly error?: AppError;
  readonly keys: readonly KeyPlan[];
}
