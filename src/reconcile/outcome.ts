import type { AppError } from '../core/errors.ts';
import type { Mapping } from '../core/mapping.ts';
import type { LiveSecret, MergeManifest } from '../core/secret.ts';
import type { TargetId } from '../core/target.ts';
import { certificateExpiry } from '../sync/checks.ts';
import type { Desired } from '../sync/desired.ts';
import type { KeyPlan } from '../sync/drift.ts';
import type { Plan } from '../sync/plan-types.ts';

/** The outcome kinds, in the order of a printed summary. */
export const OUTCOMES = ['created', 'updated', 'deleted', 'unchanged', 'refused', 'held', 'failed'] as const;
export type OutcomeKind = (typeof OUTCOMES)[number];

/** A proposal to destroy a target. The job of a target proposes, and the deletion step decides. */
export interface Proposal {
  readonly mapping: string;
  /** The Secret as read for the check of its ownership. */
  readonly live: LiveSecret;
  readonly keys: readonly KeyPlan[];
  /** Whether only a person may release the deletion. */
  readonly held: boolean;
  /** Set if only our keys are removed from a foreign Secret, which itself stays. */
  readonly ending?: MergeManifest;
  /** The target that is created immediately after the deletion. */
  readonly replacement?: Replacement;
}

export interface Replacement {
  readonly mapping: Mapping;
  readonly plan: Extract<Plan, { kind: 'create' }>;
  readonly desired: Desired;
}

/** A source version that a target uses. */
export interface SourceVersion {
  readonly store: string;
  readonly key: string;
  readonly version: string;
  /**
   * When the store created the version, in milliseconds since 1970. Left out if the store does not return this time.
   */
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
  /** Whether the target exists after the run and is ours. */
  readonly alive: boolean;
  /** The target was changed or deleted by hand, and the mapping is configured to only report drift. */
  readonly drifted?: boolean;
  /**
   * The current resource version, from the write or the read. Left out if the target does not exist or the version is
   * unknown.
   */
  readonly resourceVersion?: string;
  /** The source versions, without duplicates. Left out if not all sources could be read. */
  readonly sources?: readonly SourceVersion[];
  /** For a `kubernetes.io/tls` target: when its certificate expires, in milliseconds since 1970. */
  readonly certificateExpiresAt?: number;
  /** Whether the write made workload restarts necessary. */
  readonly restarts?: boolean;
  /** The record to which the target is pinned. */
  readonly pinned?: number;
  /** The proposal that the deletion step has yet to decide on. Set only with `held`. */
  readonly proposal?: Proposal;
}

type OutcomeDetails = Pick<Outcome, 'resourceVersion' | 'sources' | 'certificateExpiresAt'>;

/** Returns the details of an outcome that follow from its plan and its sources. */
export function outcomeDetails(
  plan: Plan,
  live: LiveSecret | undefined,
  desired: Desired,
  isCarriedOut: boolean,
): OutcomeDetails {
  const current = isCarriedOut ? (writtenBy(plan) ?? live) : live;
  const certificateExpiresAt = current && certificateExpiry(current.type, current.data);
  const sources = versionsOf(desired);
  return {
    ...(live === undefined ? {} : { resourceVersion: live.resourceVersion }),
    ...(sources === undefined ? {} : { sources }),
    ...(certificateExpiresAt === undefined ? {} : { certificateExpiresAt }),
  };
}

function writtenBy(plan: Plan): Pick<LiveSecret, 'type' | 'data'> | undefined {
  if (plan.kind === 'create') return plan.manifest;
  return plan.kind === 'update' ? plan.change : undefined;
}

function versionsOf(desired: Desired): readonly SourceVersion[] | undefined {
  if (desired.kind !== 'ready') return undefined;
  const versions = new Map<string, SourceVersion>();
  for (const [name, { store, key, version }] of desired.sources) {
    const createdAt = desired.createdAt?.get(name);
    const sourceVersion = { store, key, version, ...(createdAt === undefined ? {} : { createdAt }) };
    versions.set(JSON.stringify([store, key, version]), sourceVersion);
  }
  return [...versions.values()];
}
