import type { AppError } from '../core/errors.ts';
import type { Mapping } from '../core/mapping.ts';
import type { LiveSecret, MergeManifest } from '../core/secret.ts';
import { RUN_OUTCOMES, type TargetId } from '../core/target.ts';
import { certificateExpiry } from '../sync/checks.ts';
import type { Desired } from '../sync/desired.ts';
import type { KeyPlan } from '../sync/drift.ts';
import { foundNothing } from '../sync/find.ts';
import type { Plan } from '../sync/plan-types.ts';

export type OutcomeKind = (typeof RUN_OUTCOMES)[number];

/** How many targets have each outcome. `waiting` is present only if a change waits for its window. */
export type Summary = Readonly<Record<Exclude<OutcomeKind, 'waiting'>, number>> & {
  readonly waiting?: number;
};

/** @param countOf Returns the number of targets with an outcome. */
export function summaryOf(countOf: (kind: OutcomeKind) => number): Summary {
  const { waiting, ...others } = Object.fromEntries(
    RUN_OUTCOMES.map((kind) => [kind, countOf(kind)]),
  ) as Record<OutcomeKind, number>;
  return waiting === 0 ? others : { ...others, waiting };
}

/** A proposal to destroy a target. The job of a target makes the proposal, and the deletion step decides about it. */
export interface Proposal {
  readonly mapping: string;
  /** The Secret as it was when its ownership was checked. */
  readonly live: LiveSecret;
  readonly keys: readonly KeyPlan[];
  /** Whether the deletion needs a release by a person. */
  readonly held: boolean;
  /**
   * Set if the Secret belongs to another owner. In this case, only our keys are removed, and the Secret itself stays.
   */
  readonly ending?: MergeManifest;
  /** The sequence of the request that allows the removal. */
  readonly approval?: number | undefined;
  /** The Secret to create immediately after the deletion. */
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
  /** When the store created the version, in milliseconds since 1970. Absent if the store does not return this time. */
  readonly createdAt?: number;
  /** When the value expires, as in `ReadResult`. */
  readonly expiresAt?: number | null;
}

/** The result of one run of a target. */
export interface Outcome {
  readonly kind: OutcomeKind;
  readonly mapping: string;
  readonly target: TargetId;
  /** The reason for which the target was refused, held or failed. */
  readonly error?: AppError;
  readonly keys: readonly KeyPlan[];
  /** Whether the target exists after the run and is ours. */
  readonly alive: boolean;
  /** Whether the target was changed or deleted by hand and the mapping is configured to only report drift. */
  readonly drifted?: boolean;
  /**
   * The current resource version, from the write or the read. Absent if the target does not exist or the version is
   * unknown.
   */
  readonly resourceVersion?: string;
  /** The source versions, without duplicates. Absent if not all sources could be read. */
  readonly sources?: readonly SourceVersion[];
  /** For a `kubernetes.io/tls` target: the time when its certificate expires, in milliseconds since 1970. */
  readonly certificateExpiresAt?: number;
  /** Whether workloads must be restarted because of the write. */
  readonly restarts?: boolean;
  /** The record to which the target is pinned. */
  readonly pinned?: number;
  /** For a hold on which the deletion step has decided: when this hold was first recorded, in RFC 3339. */
  readonly heldSince?: string;
  /** What works, but needs attention. Absent if there is nothing. */
  readonly warnings?: readonly AppError[];
  /** The proposal for the deletion step, which has not decided about it yet. Set only with the kind `held`. */
  readonly proposal?: Proposal;
}

type OutcomeDetails = Pick<Outcome, 'resourceVersion' | 'sources' | 'certificateExpiresAt' | 'warnings'>;

/** Returns those details of an outcome that its plan and its sources determine. */
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
    ...(isCarriedOut ? warningsOf(desired) : {}),
  };
}

/** Returns the warnings about the sources of a target that could be made. */
export function warningsOf(desired: Desired): Pick<Outcome, 'warnings'> {
  return desired.kind === 'ready' && desired.fruitless
    ? { warnings: desired.fruitless.map(foundNothing) }
    : {};
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
    const expiresAt = desired.expiresAt?.get(name);
    const sourceVersion = {
      ...{ store, key, version },
      ...(createdAt === undefined ? {} : { createdAt }),
      ...(expiresAt === undefined ? {} : { expiresAt }),
    };
    versions.set(JSON.stringify([store, key, version]), sourceVersion);
  }
  return [...versions.values()];
}
