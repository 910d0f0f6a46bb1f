import { AppError } from '../core/errors.ts';
import { formatTarget } from '../core/target.ts';
import { type Command, commandOf } from '../reconcile/commands.ts';
import { findAlreadyRemoved, remove } from '../reconcile/destroy.ts';
import { recoverIntents } from '../reconcile/recover.ts';
import type { AwaitingReplacement } from '../reconcile/presence.ts';
import { planRemoval } from '../sync/plan.ts';
import type { App } from './app.ts';
import { isHeldId, toHeld } from './held.ts';
import { recordedAsHeld } from './orphans.ts';
import type { SyncContextOptions } from './sync-context.ts';
import { type PlannedTarget, planInContext } from './plan.ts';
import { listOrphans } from './prune.ts';
import { runPendingRestarts } from './restarts.ts';
import { report, type SyncReport } from './sync.ts';

export interface ReleaseOptions extends SyncContextOptions {
  /** The mapping that it is known to be of. */
  readonly only?: string;
  /** Somebody else rolls the workloads, and within `restarts.window`: the service. */
  readonly skipRestarts?: boolean;
  /** The command is on record already. */
  readonly isRecorded?: boolean;
}

/**
 * Lets one held change happen, by its id. It is decided anew before: what has changed since it was held has another id,
 * so that nobody releases what they did not see.
 */
export async function releaseHeld(
  app: App,
  id: string,
  { only, skipRestarts: leavesRestarts = false, isRecorded = false, ...contextOptions }: ReleaseOptions = {},
): Promise<SyncReport> {
  await recoverIntents(app);
  const context = await app.createContext(contextOptions);
  const { recorder } = context;
  if (!isRecorded) await recorder.command(releaseCommand(id));
  // Nothing is made here before something is destroyed: a rename that was never synced is not to be ended.
  const { targets, waiting = [] } = await planInContext(app, context, only, { asItStands: true });
  // Of one mapping alone the plan does not show that the brake holds it, together with those of others; whoever names
  // the mapping knows. `prune` may have held what a sync leaves alone. And what was held goes on to be until somebody
  // looks at it again, although it would be allowed by then.
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
  const found = held.find((plannedTarget) => toHeld(app.config.instance, plannedTarget).id === id);
  if (found?.proposal === undefined) throw notHeld(id, waiting);
  const { proposal, mapping, target, keys } = found;
  const removalPlan =
    proposal.ending === undefined ? planRemoval(proposal.live, { ...app, ...app.config }) : undefined;
  if (removalPlan?.kind === 'refuse') throw removalPlan.error;
  const outcome = await app.audit.exclusively('destroy', async () => {
    // Somebody else has released it meanwhile, or it was destroyed by itself.
    if ((await findAlreadyRemoved([proposal], app)).size > 0) throw notHeld(id, waiting);
    await recorder.release(mapping, target, keys, id);
    return remove(proposal, { ...app, ...context, brake: app.config.brake }, 'released');
  });
  const unrestarted = leavesRestarts ? [] : await runPendingRestarts(app, contextOptions.signal);
  return report(app, { targets: [outcome], unrestarted, recorder });
}

/** As a record has it. What is no id of ours may be any text, a value that was meant for something else among them. */
export function releaseCommand(id: string): Command {
  return isHeldId(id) ? commandOf('release', undefined, id) : commandOf('release');
}

function notHeld(id: string, [first]: readonly AwaitingReplacement[]): AppError {
  const about = isHeldId(id) ? { subject: id } : {};
  if (first === undefined) return new AppError('NOT_HELD', about);
  const detail = `what left the configuration stays until ${formatTarget(first.until)} is there`;
  return new AppError('NOT_HELD', { ...about, detail });
}
