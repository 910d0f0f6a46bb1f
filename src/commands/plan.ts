import type { App } from '../app/app.ts';
import { commandOf } from '../audit/entry.ts';
import { AppError } from '../core/errors.ts';
import { mapConcurrently } from '../core/semaphore.ts';
import { compareTargets, formatTarget, type TargetId } from '../core/target.ts';
import { brakeReason } from '../reconcile/brake.ts';
import { countLateRemovals } from '../reconcile/late-removals.ts';
import type { Unreadable } from '../reconcile/orphans.ts';
import type { Outcome, Proposal } from '../reconcile/outcome.ts';
import { type AwaitingReplacement, NO_KNOWN_PRESENCE } from '../reconcile/presence.ts';
import { type PreviewDeps, previewRemoval } from '../reconcile/preview.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import type { KeyPlan } from '../sync/drift.ts';
import { shortHash } from '../sync/ownership-metadata.ts';
import { heldSince, type PlanApp, populationOf, presenceOf, proposeOrphanDeletions } from './orphans.ts';
import { type PlannedTarget, previewTargets, withWindow } from './planned-targets.ts';

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
  return planInContext(app, context, only, { signal });
}

/**
 * Makes a plan as part of another command. With `ignorePlannedChanges`, a target that does not exist yet counts as
 * missing, even if a sync would create it before the deletions.
 */
export async function planInContext(
  app: PlanApp,
  context: PreviewDeps,
  only?: string,
  {
    asItStands: ignorePlannedChanges = false,
    signal,
  }: { readonly asItStands?: boolean; readonly signal?: AbortSignal | undefined } = {},
): Promise<PlanReport> {
  const { concurrency } = app.config.engine;
  const checked = await previewTargets(selectTargets(app, only), context, { concurrency, signal });
  const presence = ignorePlannedChanges ? NO_KNOWN_PRESENCE : presenceOf(checked);
  const orphaned = await proposeOrphanDeletions(app, only, presence);
  const orphans = orphaned.proposals.filter(
    (proposal) => !checked.some((plannedTarget) => takesOverMerge(plannedTarget, proposal)),
  );
  const targets = [...checked, ...orphans.map(plannedDeletion)]
    .map((plannedTarget) => withWindow(plannedTarget, context))
    .toSorted((a, b) => compareTargets(a.target, b.target));
  const free = targets.flatMap(({ proposal, error }) =>
    proposal?.held === false && error === undefined ? [proposal] : [],
  );
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
  const shown = await mapConcurrently(targets, concurrency, (plannedTarget) =>
    braked === undefined ? withRefusal(plannedTarget, app) : withHold(plannedTarget, braked),
  );
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
export function selectTargets(app: Pick<App, 'targets'>, only: string | undefined): readonly DesiredTarget[] {
  if (only === undefined) return app.targets;
  return app.targets.filter(({ mapping }) => mapping.name === only);
}

/** Returns the targets that a run of one mapping does not process. Empty for a run of all mappings. */
export function targetsOutside(
  app: Pick<App, 'targets'>,
  only: string | undefined,
): readonly DesiredTarget[] {
  return only === undefined ? [] : app.targets.filter(({ mapping }) => mapping.name !== only);
}

/** Reports a deletion that the cluster would refuse. */
async function withRefusal(plannedTarget: PlannedTarget, { cluster }: PlanApp): Promise<PlannedTarget> {
  const { proposal, action } = plannedTarget;
  if (proposal === undefined || action === 'hold') return plannedTarget;
  const error = await previewRemoval(proposal, cluster);
  return error === undefined ? plannedTarget : { ...plannedTarget, action: 'fail', error };
}

async function withHold(plannedTarget: PlannedTarget, detail: string): Promise<PlannedTarget> {
  const { proposal, action, error } = plannedTarget;
  if (proposal === undefined || action === 'hold' || error !== undefined) return plannedTarget;
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
  const { id: target, resourceVersion } = live;
  return { mapping, target, action, keys, alive: true, proposal, resourceVersion };
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
