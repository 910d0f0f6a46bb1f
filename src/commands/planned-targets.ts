import { AppError, assertNever } from '../core/errors.ts';
import { mapConcurrently } from '../core/semaphore.ts';
import { formatTarget, type Instances, type TargetId } from '../core/target.ts';
import type { PLAN_ACTIONS, UPDATE_KINDS } from '../core/words.ts';
import { type Decision, isPresentAndOurs } from '../reconcile/decide.ts';
import { closedFor } from '../reconcile/destroy.ts';
import { isMergeMissing } from '../reconcile/drift-check.ts';
import { guardChange, type Postponed, type WindowDeps } from '../reconcile/guard.ts';
import { outcomeDetails, type Proposal, type SourceVersion, warningsOf } from '../reconcile/outcome.ts';
import { type PreviewDeps, previewTarget } from '../reconcile/preview.ts';
import { proposalOf } from '../reconcile/reconcile.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import type { KeyPlan } from '../sync/drift.ts';
import { heldByOthers } from '../sync/merge-checks.ts';
import { agesOf, ageWarning } from '../sync/policies.ts';
import { createWorkloadWarnings } from './missing-workloads.ts';

export type PlanAction = (typeof PLAN_ACTIONS)[number];

export interface PlannedTarget {
  readonly mapping: string;
  readonly target: TargetId;
  readonly action: PlanAction;
  readonly how?: (typeof UPDATE_KINDS)[number];
  readonly error?: AppError;
  readonly keys: readonly KeyPlan[];
  /** Whether the target exists at the end of the run, when deletions begin. */
  readonly alive: boolean;
  /** The record to which the target is pinned. */
  readonly pinned?: number;
  /** What works, but needs attention. Absent if there is nothing. */
  readonly warnings?: readonly AppError[];
  readonly proposal?: Proposal;
  /** The `resourceVersion` of the Secret on which the plan is based. Absent if the Secret does not exist. */
  readonly resourceVersion?: string | undefined;
  /** The source versions on which the plan is based. Absent if not all sources could be read. */
  readonly sources?: readonly SourceVersion[] | undefined;
  /** The field managers of the mapping's former names. The merge takes over the keys that these field managers own. */
  readonly takesFrom?: readonly string[];
}

/**
 * Returns what a sync would do with each target, and changes nothing. `plan` and `doctor` print it. The deletion step
 * may still hold the proposals among them.
 */
export async function previewTargets(
  wanted: readonly DesiredTarget[],
  deps: PreviewDeps,
  { concurrency, signal }: { readonly concurrency: number; readonly signal?: AbortSignal | undefined },
): Promise<readonly PlannedTarget[]> {
  const warningsAbout = createWorkloadWarnings(deps.cluster.workloads, signal);
  const planned = await mapConcurrently(wanted, concurrency, async (desired) =>
    planGuarded(desired, await previewTarget(desired, deps), deps, await warningsAbout(desired)),
  );
  return refuseConflictingMerges(refuseSecondOwner(planned));
}

/** If several mappings would create one target, the first mapping becomes the owner. The other mappings are refused. */
function refuseSecondOwner(targets: readonly PlannedTarget[]): readonly PlannedTarget[] {
  const owners = new Map<string, string>();
  return targets.map((plannedTarget) => {
    if (plannedTarget.action !== 'create' && plannedTarget.how !== 'adopt') return plannedTarget;
    const { mapping, target } = plannedTarget;
    const name = formatTarget(target);
    const owner = owners.get(name);
    owners.set(name, owner ?? mapping);
    if (owner === undefined) return plannedTarget;
    const error = new AppError('TARGET_CLAIMED', { detail: `owned by mapping ${owner}` });
    return { ...basisOf(plannedTarget), mapping, target, action: 'refuse', error, keys: [], alive: false };
  });
}

/**
 * If several mappings would merge different values under one key, the first mapping owns the key. The other mappings
 * are refused.
 */
function refuseConflictingMerges(targets: readonly PlannedTarget[]): readonly PlannedTarget[] {
  const held = new Map<string, string>();
  return targets.map((plannedTarget) => {
    if (plannedTarget.how !== 'merge') return plannedTarget;
    const { mapping, target, keys, alive } = plannedTarget;
    const merged = keys.flatMap(({ name, after }) =>
      after === undefined
        ? []
        : [{ name, after, id: JSON.stringify([target.namespace, target.secret, name]) }],
    );
    const conflicting = merged
      .filter(({ id, after }) => (held.get(id) ?? after) !== after)
      .map(({ name }) => name);
    if (conflicting.length === 0) {
      for (const { id, after } of merged) held.set(id, after);
      return plannedTarget;
    }
    const error = heldByOthers(conflicting);
    return { ...basisOf(plannedTarget), mapping, target, action: 'refuse', error, keys, alive };
  });
}

function basisOf({
  resourceVersion,
  sources,
}: PlannedTarget): Pick<PlannedTarget, 'resourceVersion' | 'sources'> {
  return { resourceVersion, sources };
}

/** Returns what a sync would do, including the wait for a window or for an approval. */
async function planGuarded(
  desired: DesiredTarget,
  decision: Decision,
  deps: PreviewDeps,
  aboutWorkloads: readonly AppError[],
): Promise<PlannedTarget> {
  const planned = plannedTarget(desired, decision, deps, aboutWorkloads);
  const postponed = await postponedWrite(desired, decision, deps);
  if (postponed === undefined) return planned;
  return {
    ...planned,
    ...(postponed.kind === 'refused' ? { action: 'refuse' } : {}),
    ...(planned.action === 'create' ? { alive: false } : {}),
    error: postponed.error,
  };
}

/** Returns why the planned write of a target would wait. Undefined if it would not, or if nothing is to write. */
export async function postponedWrite(
  { mapping: { name }, id }: DesiredTarget,
  { plan, pinned }: Decision,
  deps: PreviewDeps,
): Promise<Postponed | undefined> {
  if (plan.kind !== 'create' && plan.kind !== 'update' && plan.kind !== 'merge') return undefined;
  const isFirst =
    plan.kind === 'create' ||
    (plan.kind === 'merge' && isMergeMissing(plan, { instance: deps.instance, mapping: name }));
  const isRestoring = isFirst || plan.drift;
  const approvals = deps.approvals.withoutRequests;
  const guarded = { mapping: name, id, plan, isRestoring, pinned };
  return (await guardChange(guarded, { ...deps, approvals })).postponed;
}

/** Adds the error of a removal that must wait for its window. */
export function withWindow(planned: PlannedTarget, deps: WindowDeps): PlannedTarget {
  const { proposal } = planned;
  const error = proposal === undefined || proposal.held ? undefined : closedFor(proposal, deps);
  return error === undefined ? planned : { ...planned, error };
}

function plannedTarget(
  { mapping, id }: DesiredTarget,
  decision: Decision,
  { clock, ...instances }: Instances & Pick<PreviewDeps, 'clock'>,
  aboutWorkloads: readonly AppError[],
): PlannedTarget {
  const { plan, pinned, live, desired } = decision;
  const { resourceVersion, sources } = outcomeDetails(plan, live, desired, false);
  const isFailing = plan.kind === 'refuse' || plan.kind === 'fail';
  const { warnings: aboutSources = [] } = isFailing ? {} : warningsOf(desired);
  // A pinned version does not show the age of the current value.
  const aboutAge = pinned === undefined ? ageWarning(mapping, id, agesOf(mapping, desired), clock.now()) : [];
  const warnings = [...aboutSources, ...aboutAge, ...aboutWorkloads];
  const base = {
    mapping: mapping.name,
    target: id,
    keys: plan.keys,
    alive: plan.kind === 'create' || isPresentAndOurs(decision, mapping, instances),
    resourceVersion,
    sources,
    ...(pinned === undefined ? {} : { pinned }),
    ...(warnings.length === 0 ? {} : { warnings }),
  };
  switch (plan.kind) {
    case 'create':
    case 'unchanged':
      return { ...base, action: plan.kind };
    case 'update':
      return { ...base, action: 'update', ...(plan.adopts ? { how: 'adopt' } : {}) };
    case 'merge':
      return { ...base, action: 'update', how: 'merge', takesFrom: plan.first.map(({ manager }) => manager) };
    case 'recreate':
      return { ...base, action: 'update', how: 'recreate', proposal: proposalOf(mapping, decision, plan) };
    case 'delete':
      return { ...base, action: 'delete', proposal: proposalOf(mapping, decision, plan) };
    case 'hold':
      return {
        ...base,
        action: 'hold',
        error: plan.error,
        proposal: proposalOf(mapping, decision, plan),
      };
    case 'refuse':
    case 'fail':
      return { ...base, action: plan.kind, error: plan.error };
    default:
      return assertNever(plan);
  }
}
