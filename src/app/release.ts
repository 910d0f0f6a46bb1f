import { AppError } from '../core/errors.ts';
import { formatTarget } from '../core/target.ts';
import { type Command, commandOf } from '../reconcile/commands.ts';
import { findAlreadyRemoved, remove } from '../reconcile/destroy.ts';
import type { AwaitingReplacement } from '../reconcile/presence.ts';
import { recoverIntents } from '../reconcile/recover.ts';
import { planRemoval } from '../sync/plan.ts';
import type { App } from './app.ts';
import { isHeldId, toHeld } from './held.ts';
import { recordedAsHeld } from './orphans.ts';
import { type PlannedTarget, planInContext } from './plan.ts';
import { listOrphans } from './prune.ts';
import { runPendingRestarts } from './restarts.ts';
import { report, type SyncReport } from './sync.ts';
import type { SyncContextOptions } from './sync-context.ts';

export interface ReleaseOptions extends SyncContextOptions {
  /** The mapping of the change, if it is known. */
  readonly only?: string;
  /** Set by the service, which restarts workloads within `restarts.window` itself. */
  readonly skipRestarts?: boolean;
  /** The command is already recorded. */
  readonly isRecorded?: boolean;
}

/**
 * Releases one held change by its id. The change is decided again first. If it has changed since it was held, its id is
 * different. A person can only release what they have seen.
 */
export async function releaseHeld(
  app: App,
  id: string,
  { only, skipRestarts = false, isRecorded = false, ...contextOptions }: ReleaseOptions = {},
): Promise<SyncReport> {
  await recoverIntents(app);
  const context = await app.createContext(contextOptions);
  const { recorder } = context;
  if (!isRecorded) await recorder.command(releaseCommand(id));
  // Nothing is created before the deletion, so a rename that was never synced must not lose its old target.
  const { targets, waiting = [] } = await planInContext(app, context, only, { asItStands: true });
  // A plan of a single mapping cannot show that the brake holds it together with others, so with `only` every proposal
  // counts as held. `prune` may hold what a sync keeps. A change also stays held until it is decided again, even if the
  // brake would allow it now.
  const proposed = targets.filter(({ proposal }) => proposal !== undefined);
  const isHeld = ({ action }: PlannedTarget): boolean => action === 'hold' || only !== undefined;
  const recordedHeld = await recordedAsHeld(
    app,
    proposed.filter((plannedTarget) => !isHeld(plannedTarget)),
    ({ mapping, target }) => ({
      mapping,
      ...target,
    }),
  );
  const held = [
    ...proposed.filter(isHeld),
    ...recordedHeld,
    ...(await listOrphans(app, contextOptions)).targets,
  ];
  const selected = held.find((plannedTarget) => toHeld(app.config.instance, plannedTarget).id === id);
  if (selected?.proposal === undefined) throw notHeld(id, waiting);
  const { proposal, mapping, target, keys } = selected;
  const removalPlan =
    proposal.ending === undefined ? planRemoval(proposal.live, { ...app, ...app.config }) : undefined;
  if (removalPlan?.kind === 'refuse') throw removalPlan.error;
  const outcome = await app.audit.exclusively('destroy', async () => {
    // Somebody else has released it meanwhile, or it was deleted otherwise.
    if ((await findAlreadyRemoved([proposal], app)).size > 0) throw notHeld(id, waiting);
    await recorder.release(mapping, target, keys, id);
    return remove(proposal, { ...app, ...context, brake: app.config.brake }, 'released');
  });
  const unrestarted = skipRestarts ? [] : await runPendingRestarts(app, contextOptions.signal);
  return report(app, { targets: [outcome], unrestarted, recorder });
}

/** The command for the audit record. Text that is not an id can be anything, even a value, so it is not recorded. */
export function releaseCommand(id: string): Command {
  return isHeldId(id) ? commandOf('release', undefined, id) : commandOf('release');
}

function notHeld(id: string, [first]: readonly AwaitingReplacement[]): AppError {
  const about = isHeldId(id) ? { subject: id } : {};
  if (first === undefined) return new AppError('NOT_HELD', about);
  const detail = `the orphaned target stays until ${formatTarget(first.until)} exists`;
  return new AppError('NOT_HELD', { ...about, detail });
}
