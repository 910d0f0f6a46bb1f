import type { App } from '../app/app.ts';
import { AppError, assertNever } from '../core/errors.ts';
import { mapConcurrently } from '../core/semaphore.ts';
import { compareTargets, formatTarget, type Instances, type TargetId } from '../core/target.ts';
import { brakeReason } from '../reconcile/brake.ts';
import { type DecideDeps, type Decision, isPresentAndOurs } from '../reconcile/decide.ts';
import { countLateRemovals } from '../reconcile/destroy.ts';
import type { Unreadable } from '../reconcile/orphans.ts';
import { type Outcome, type Proposal, warningsOf } from '../reconcile/outcome.ts';
import { type AwaitingReplacement, NO_KNOWN_PRESENCE } from '../reconcile/presence.ts';
import { proposalOf } from '../reconcile/reconcile.ts';
import { commandOf } from '../reconcile/recorder.ts';
import { type DesiredTarget, decideTarget } from '../reconcile/targets.ts';
import type { KeyPlan } from '../sync/drift.ts';
import { heldByOthers } from '../sync/merge-checks.ts';
import { shortHash } from '../sync/ownership-metadata.ts';
import { heldSince, populationOf, presenceOf, proposeOrphanDeletions } from './orphans.ts';

export type PlanAction = 'create' | 'update' | 'delete' | 'unchanged' | 'refuse' | 'hold' | 'fail';

export interface PlannedTarget {
  readonly mapping: string;
  readonly target: TargetId;
  readonly action: PlanAction;
  /**
   * The kind of a special update: it adopts an existing Secret, recreates the Secret, or merges into a Secret of
   * another owner.
   */
  readonly how?: 'adopt' | 'recreate' | 'merge';
  readonly error?: AppError;
  readonly keys: readonly KeyPlan[];
  /** Whether the target exists at the end of the run, when deletions begin. */
  readonly alive: boolean;
  /** The record to which the target is pinned. */
  readonly pinned?: number;
  /** What works, but needs attention. Absent if there is nothing. */
  readonly warnings?: readonly AppError[];
  readonly proposal?: Proposal;
  /** The field managers of the mapping's former names. The merge takes over the keys that these field managers own. */
  readonly takesFrom?: readonly string[];
}

export interface PlanReport {
  readonly targets: readonly PlannedTarget[];
  readonly held: readonly Held[];
  /** Orphaned targets that are kept until their mapping has created its new target. */
  readonly waiting?: readonly AwaitingReplacement[];
  /** Targets that may be orphaned, but could not be checked. */
  readonly unseen?: readonly Unreadable[];
  /** Number of orphaned targets that are kept because of `onMappingRemoved: keep`. */
  readonly kept?: number;
}

/** Returns the changes that `sync` would make now. Reads the stores and the cluster, and changes neither. */
export async function planTargets(app: App, only?: string, signal?: AbortSignal): Promise<PlanReport> {
  const context = await app.createContext({ signal });
  await context.recorder.command(commandOf('plan', only));
  return planInContext(app, context, only);
}

/**
 * Makes a plan as part of another command. With `ignorePlannedChanges`, a target that does not exist yet counts as
 * missing, even if a sync would create it before the deletions.
 */
export async function planInContext(
  app: App,
  context: DecideDeps,
  only?: string,
  { asItStands: ignorePlannedChanges = false }: { readonly asItStands?: boolean } = {},
): Promise<PlanReport> {
  const wanted = selectTargets(app, only);
  const decided = await mapConcurrently(wanted, app.config.engine.concurrency, async (desiredTarget) => {
    const decision = await decideTarget(desiredTarget, context);
    return plannedTarget(desiredTarget, decision, context);
  });
  const checked = refuseConflictingMerges(refuseSecondOwner(decided));
  const presence = ignorePlannedChanges ? NO_KNOWN_PRESENCE : presenceOf(checked);
  const orphaned = await proposeOrphanDeletions(app, only, presence);
  const orphans = orphaned.proposals.filter(
    (proposal) => !checked.some((plannedTarget) => takesOverMerge(plannedTarget, proposal)),
  );
  const targets = [...checked, ...orphans.map(plannedDeletion)].toSorted((a, b) =>
    compareTargets(a.target, b.target),
  );
  const free = targets.flatMap(({ proposal }) => (proposal?.held === false ? [proposal] : []));
  const others = { targets: targetsOutside(app, only), leaving: orphaned.endedOfOthers };
  const proposals = targets.flatMap(({ proposal }) => proposal ?? []);
  const population = await populationOf(app, {
    presence,
    orphanCount: orphaned.count,
    proposals,
    others,
  });
  const deps = { ...app, brake: app.config.brake };
  const unrecorded = free.length === 0 ? 0 : await countLateRemovals(deps);
  const braked = await brakeReason(free, { ...population, unrecorded }, deps);
  const shown =
    braked === undefined ? targets : targets.map((plannedTarget) => withHold(plannedTarget, braked));
  const held = await Promise.all(
    shown
      .filter(({ action }) => action === 'hold')
      .map(async (plannedTarget) => {
        const since = await heldSince(app, plannedTarget);
        return {
          ...toHeld(app.config.instance, plannedTarget),
          ...(since === undefined ? {} : { since }),
        };
      }),
  );
  // Omit this number for a single mapping, because it would include the orphans of all other mappings.
  const kept = only === undefined ? orphaned.count - orphaned.ended : 0;
  const { waiting, unseen } = orphaned;
  return { targets: shown, held, waiting, unseen, ...(kept === 0 ? {} : { kept }) };
}

/** Returns the targets of all mappings, or of one mapping. */
export function selectTargets(app: App, only: string | undefined): readonly DesiredTarget[] {
  if (only === undefined) return app.targets;
  return app.targets.filter(({ mapping }) => mapping.name === only);
}

/** Returns the targets that a run of one mapping does not process. Empty for a run of all mappings. */
export function targetsOutside(app: App, only: string | undefined): readonly DesiredTarget[] {
  return only === undefined ? [] : app.targets.filter(({ mapping }) => mapping.name !== only);
}

function withHold(plannedTarget: PlannedTarget, detail: string): PlannedTarget {
  if (plannedTarget.proposal === undefined || plannedTarget.action === 'hold') return plannedTarget;
  return { ...plannedTarget, action: 'hold', error: new AppError('HELD', { detail }) };
}

/** Returns whether the planned merge takes over the keys that the proposal would delete. */
function takesOverMerge({ target, takesFrom = [] }: PlannedTarget, { live, ending }: Proposal): boolean {
  return (
    ending !== undefined &&
    takesFrom.includes(ending.manager) &&
    formatTarget(target) === formatTarget(live.id)
  );
}

function plannedDeletion(proposal: Proposal): PlannedTarget {
  const { mapping, live, keys, ending } = proposal;
  const action = ending === undefined ? 'delete' : 'update';
  return { mapping, target: live.id, action, keys, alive: true, proposal };
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
    return { mapping, target, action: 'refuse', error, keys: [], alive: false };
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
    return { mapping, target, action: 'refuse', error: heldByOthers(conflicting), keys, alive };
  });
}

function plannedTarget(
  { mapping, id }: DesiredTarget,
  decision: Decision,
  instances: Instances,
): PlannedTarget {
  const { plan, pinned } = decision;
  const base = {
    mapping: mapping.name,
    target: id,
    keys: plan.keys,
    alive: plan.kind === 'create' || isPresentAndOurs(decision, mapping, instances),
    ...(pinned === undefined ? {} : { pinned }),
    ...(plan.kind === 'refuse' || plan.kind === 'fail' ? {} : warningsOf(decision.desired)),
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

/** A change that waits for a person. The id is computed from the change, so the same change always has the same id. */
export interface Held extends TargetId {
  readonly id: string;
  readonly mapping: string;
  readonly action: 'delete';
  readonly keys: readonly KeyPlan[];
  /** Why the change waits. */
  readonly reason?: string;
  /** RFC 3339: when the change was first held. Absent if no sync has held it yet. */
  readonly since?: string;
}

export function isHeldId(text: string): boolean {
  return /^[0-9a-f]{12}$/.test(text);
}

export function toHeld(
  instance: string,
  {
    mapping,
    target,
    keys,
    error,
    heldSince,
  }: Pick<Outcome, 'mapping' | 'target' | 'keys' | 'error' | 'heldSince'>,
): Held {
  const change = { action: 'delete', keys } as const;
  return {
    id: shortHash({ instance, mapping, ...target, ...change }).slice(0, 12),
    mapping,
    ...target,
    ...change,
    ...(error === undefined ? {} : { reason: error.detail ?? error.message }),
    ...(heldSince === undefined ? {} : { since: heldSince }),
  };
}
