import type { App } from '../app/app.ts';
import type { SyncContextOptions } from '../app/sync-context.ts';
import { commandOf } from '../audit/entry.ts';
import { AppError } from '../core/errors.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { joinApprovalErrors } from '../reconcile/approvals.ts';
import type { SyncContext } from '../reconcile/context.ts';
import { type DestroyDeps, destroy } from '../reconcile/destroy.ts';
import { proposeRemoval, type Unreadable } from '../reconcile/orphans.ts';
import type { Outcome, Proposal } from '../reconcile/outcome.ts';
import { type AwaitingReplacement, deferReplaced, NO_KNOWN_PRESENCE } from '../reconcile/presence.ts';
import { recordingCommand } from '../reconcile/recorder.ts';
import { recoverIntents } from '../reconcile/recover.ts';
import { findOrphanedTargets, isStillProposed, populationOf } from './orphans.ts';
import { type Held, toHeld } from './plan.ts';
import type { PlannedTarget } from './planned-targets.ts';
import { report, type SyncReport } from './sync.ts';

/**
 * The note on the audit record of a change that `prune` holds. If a sync held the change while the mapping existed, the
 * record has no such note.
 */
export const HELD_BY_PRUNE = 'by prune';

/** All orphaned targets, with any value of `onMappingRemoved`. */
interface Orphans {
  readonly proposals: readonly Proposal[];
  readonly waiting: readonly AwaitingReplacement[];
  readonly unseen: readonly Unreadable[];
  /** Number of all orphaned targets. */
  readonly count: number;
}

async function findOrphans(app: App): Promise<Orphans> {
  const { orphans, unreadable } = await findOrphanedTargets(app, { search: true });
  // If the search was interrupted, it may have missed orphans. So do not report "none", and delete nothing.
  const stopped = unreadable.find(({ error }) => error.code === 'INTERRUPTED');
  if (stopped !== undefined) throw stopped.error;
  const all = orphans.map((orphan) => proposeRemoval(orphan, app.fingerprints));
  return {
    ...(await deferReplaced(all, app.targets, NO_KNOWN_PRESENCE, app)),
    unseen: unreadable,
    count: orphans.length,
  };
}

/** The targets that `prune` would delete, and the targets that it would skip. */
export interface OrphanList extends Pick<Orphans, 'waiting' | 'unseen'> {
  readonly targets: readonly PlannedTarget[];
}

/** Lists the orphaned targets that `prune` would delete. */
export async function listOrphans(app: App, contextOptions: SyncContextOptions = {}): Promise<OrphanList> {
  // Resolve the selectors first: a target in a selected namespace is not orphaned.
  await app.createContext(contextOptions);
  const { proposals, waiting, unseen } = await findOrphans(app);
  const targets = proposals.map((proposal): PlannedTarget => {
    const { mapping, live, keys } = proposal;
    return { mapping, target: live.id, action: 'delete', keys, alive: true, proposal };
  });
  return { targets, waiting, unseen };
}

/** Lists the orphaned targets and records the command. */
export async function listOrphansForCommand(
  app: App,
  contextOptions: SyncContextOptions = {},
): Promise<OrphanList> {
  const { recorder } = await app.createContext(contextOptions);
  await recorder.command(commandOf('prune'));
  return listOrphans(app, { ...contextOptions, reuseResolved: true });
}

/** Finds the orphan that `prune` holds under this id. */
export async function findHeldOrphan(
  app: App,
  id: string,
  contextOptions: SyncContextOptions,
): Promise<Held | undefined> {
  const { targets } = await listOrphans(app, contextOptions);
  return targets
    .map((plannedTarget) => toHeld(app.config.instance, plannedTarget))
    .find((held) => held.id === id);
}

export interface PruneOptions extends SyncContextOptions {
  /** Throws if deletions are currently not allowed. */
  readonly check?: (() => void) | undefined;
  /** Keeps the targets in all other namespaces. Default: none. */
  readonly mayUse?: ((namespace: string) => boolean) | undefined;
  /** Deletes only this target. Default: all orphaned targets. */
  readonly only?: TargetId | undefined;
}

/**
 * Deletes the orphaned targets. The brake applies as for all other deletions. If the brake or a window holds back all of
 * them, the command is recorded as refused.
 */
export async function pruneOrphans(
  app: App,
  { check, mayUse, only, ...contextOptions }: PruneOptions = {},
): Promise<SyncReport> {
  await recoverIntents(app);
  const context = await app.createContext(contextOptions);
  const { recorder } = context;
  const pruned = await recordingCommand(
    recorder,
    commandOf('prune'),
    (accept) => prune(app, context, { check, mayUse, only, accept }),
    ({ targets }) => targets.find(({ kind }) => kind === 'held' || kind === 'waiting')?.error,
  );
  return report(app, { ...pruned, recorder });
}

async function prune(
  app: App,
  context: SyncContext,
  {
    check = () => undefined,
    mayUse = () => true,
    only,
    accept,
  }: Pick<PruneOptions, 'check' | 'mayUse' | 'only'> & Pick<DestroyDeps, 'accept'>,
): Promise<Pick<SyncReport, 'targets' | 'unseen' | 'waiting'>> {
  const isInForce = isStillProposed(app);
  check();
  const { proposals, waiting, unseen, count } = await findOrphans(app);
  const others = { targets: app.targets, leaving: 0 };
  const population = await populationOf(app, {
    presence: NO_KNOWN_PRESENCE,
    orphanCount: count,
    proposals,
    others,
  });
  // The steps above can take minutes. In this time, someone may have restored a mapping that was removed by mistake. So
  // check again that the targets are still orphaned.
  check();
  const isMeant = (proposal: Proposal): boolean => isInForce(proposal, true);
  const { brake } = app.config;
  const stillProposed = proposals.filter(
    (proposal) =>
      isMeant(proposal) &&
      mayUse(proposal.live.id.namespace) &&
      (only === undefined || formatTarget(only) === formatTarget(proposal.live.id)),
  );
  const [unreadable] = unseen;
  // The wanted target may be among those that could not be read.
  if (only !== undefined && stillProposed.length === 0 && unreadable !== undefined) throw unreadable.error;
  const { allowed, refused } = await approved(stillProposed, app, context);
  const deps = { ...app, ...context, brake, isStillWanted: isMeant, accept };
  const removed = await destroy(allowed, population, deps, HELD_BY_PRUNE);
  return { targets: [...removed, ...refused], unseen, waiting };
}

/**
 * Returns the deletions that need no approval or have one, and the outcomes of the others. Throws if there are only
 * others. @throws AppError APPROVAL_NEEDED
 */
async function approved(
  proposals: readonly Proposal[],
  { config: { instance } }: App,
  { approvals }: SyncContext,
): Promise<{ readonly allowed: readonly Proposal[]; readonly refused: readonly Outcome[] }> {
  const allowed: Proposal[] = [];
  const refused: Outcome[] = [];
  const errors: AppError[] = [];
  for (const proposal of proposals) {
    const { mapping, live, keys } = proposal;
    const target = live.id;
    try {
      const { id: argument } = toHeld(instance, { mapping, target, keys });
      const approval = await approvals.require({ action: 'prune', mapping, target, argument, keys });
      allowed.push({ ...proposal, approval });
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.code !== 'APPROVAL_NEEDED') throw thrown;
      errors.push(thrown);
      refused.push({ kind: 'refused', mapping, target, keys, alive: true, error: thrown });
    }
  }
  if (allowed.length === 0 && errors.length > 0) throw joinApprovalErrors(errors);
  return { allowed, refused };
}
