import type { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { LiveSecret, MergeManifest, OwnedFields, SecretChange, SecretManifest } from '../core/secret.ts';
import type { TargetId } from '../core/target.ts';
import type { AbsenceInput } from './absence.ts';
import type { Desired } from './desired.ts';
import type { KeyPlan } from './drift.ts';

import type { Claim } from './ownership.ts';
import type { PinMetadata } from './ownership-metadata.ts';
import type { Rendered } from './template.ts';

/** The instance and mapping that identify a merge. */
export interface MergeOwner {
  readonly instance: string;
  readonly mapping: string;
}

/** A merge under a former instance or mapping name, with the keys that its field manager still owns. */
export interface FormerMerge extends MergeOwner {
  readonly keys: readonly string[];
}

/**
 * The planned change. `delete`: a proposal to the deletion step, which decides for the whole instance. `hold`: a
 * proposal that only a person may release. `refuse`: the change is not allowed. `fail`: no decision is possible.
 */
export type Plan =
  | { readonly kind: 'create'; readonly keys: readonly KeyPlan[]; readonly manifest: SecretManifest }
  | {
      readonly kind: 'update';
      readonly keys: readonly KeyPlan[];
      readonly change: SecretChange;
      readonly live: LiveSecret;
      /** Whether the write takes ownership of a Secret that was not ours before. */
      readonly adopts: boolean;
      /** Whether the write only undoes a manual change. */
      readonly drift: boolean;
    }
  | {
      /** Merges our keys into a Secret of another owner. */
      readonly kind: 'merge';
      readonly keys: readonly KeyPlan[];
      readonly live: LiveSecret;
      readonly manifest: MergeManifest;
      /** Steps to apply first, in this order. The steps take over the keys that were merged under a former name. */
      readonly first: readonly MergeManifest[];
      readonly drift: boolean;
    }
  | { readonly kind: 'unchanged'; readonly keys: readonly KeyPlan[] }
  | {
      /** Deletes the Secret and creates it again, because the API server does not allow this change in place. */
      readonly kind: 'recreate';
      readonly keys: readonly KeyPlan[];
      readonly live: LiveSecret;
      readonly manifest: SecretManifest;
      readonly drift: boolean;
    }
  | { readonly kind: 'delete'; readonly keys: readonly KeyPlan[]; readonly live: LiveSecret }
  | {
      readonly kind: 'hold';
      readonly keys: readonly KeyPlan[];
      readonly live: LiveSecret;
      readonly error: AppError;
      /**
       * Set if the Secret belongs to another owner. In this case, only our keys are removed, and the Secret itself
       * stays.
       */
      readonly ending?: MergeManifest;
    }
  | { readonly kind: 'refuse' | 'fail'; readonly keys: readonly KeyPlan[]; readonly error: AppError };

/** The plan for a target whose content is unknown, or that a policy does not allow. The Secret stays unchanged. */
export function withoutContent(error: AppError): Plan {
  return { kind: error.code === 'POLICY_VIOLATED' ? 'refuse' : 'fail', keys: [], error };
}

/** Whether the Secret belongs to somebody else and is therefore not a target of ours. */
export function isForeign(plan: Plan): boolean {
  return plan.kind === 'refuse' && (plan.error.code === 'NOT_OWNED' || plan.error.code === 'TARGET_CLAIMED');
}

export interface PlanInput
  extends Claim,
    Pick<AbsenceInput, 'isProvenAbsent' | 'isWrittenWithout' | 'awaitedConfirmation'> {
  readonly id: TargetId;
  readonly desired: Desired;
  /** Required if the mapping has templates. */
  readonly rendered?: Rendered | undefined;
  readonly live: LiveSecret | undefined;
  readonly stores: ReadonlyMap<string, string>;
  readonly fingerprints: Fingerprinter;
  /** For `mode: merge`: the keys that the mapping's field manager owns. */
  readonly merged: readonly string[];
  /** For `mode: merge`: the keys that this mapping merged while the instance had a former name. */
  readonly former?: readonly FormerMerge[];
  /** For `mode: merge`: the merges of orphaned mappings. This mapping may be one of these mappings under a new name. */
  readonly orphaned?: readonly FormerMerge[];
  /**
   * For `mode: merge`: returns the fields that only the given merges own. Undefined if it is unknown who owns the
   * fields.
   */
  readonly exclusivelyOwned?: (merges: readonly MergeOwner[]) => OwnedFields;
  /** Set if `mapping` and `desired` use the versions of a pin. */
  readonly pin?: PinMetadata | undefined;
}
