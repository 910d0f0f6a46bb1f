import type { App } from '../app/app.ts';
import type { SyncContextOptions } from '../app/sync-context.ts';
import { AppError } from '../core/errors.ts';
import { formatTarget } from '../core/target.ts';
import { findAlreadyRemoved, remove } from '../reconcile/destroy.ts';
import type { AwaitingReplacement } from '../reconcile/presence.ts';
import { type Command, commandOf } from '../reconcile/recorder.ts';
import { recoverIntents } from '../reconcile/recover.ts';
import { planRemoval } from '../sync/plan.ts';
import { recordedAsHeld } from './orphans.ts';
import { isHeldId, type PlannedTarget, planInContext, toHeld } from './plan.ts';
import { listOrphans } from './prune.ts';
import { runPendingRestarts } from './restarts.ts';
import { report, type SyncReport } from './sync.ts';

export interface ReleaseOptions extends SyncContextOptions {
  /** The mapping of the held change, if it is known. */
  readonly only?: string;
  /** Set by the service, which restarts the workloads itself, within `restarts.window`. */
  readonly skipRestarts?: boolean;
  /** Whether the command is already in the audit log. */
  readonly isRecorded?: boolean;
}

/**
 * Releases one held change by its id. The change is decided again first. If the result differs from the held change,
 * its id differs too, and nothing is released. So a person releases only a change that they have seen.
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
  // A release creates no targets. So plan without the creations of a sync: after a rename, the old target must not be
  // deleted before the new one exists.
  const { targets, waiting = [] } = await planInContext(app, context, only, { asItStands: true });
  // Find all held changes. A plan with `only` cannot apply the brake to all mappings together, so each of its proposals
  // counts as held. `prune` may hold orphans that a sync keeps. A recorded hold stays in effect until the next
  // decision, even if the brake would now allow the change.
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
    // Another process has released the change or deleted the target meanwhile.
    if ((await findAlreadyRemoved([proposal], app)).size > 0) throw notHeld(id, waiting);
    await recorder.release(mapping, target, keys, id);
    return remove(proposal, { ...app, ...context, brake: app.config.brake }, 'released');
  });
  const unrestarted = skipRestarts ? [] : await runPendingRestarts(app, contextOptions.signal);
  return report(app, { targets: [outcome], unrestarted, recorder });
}

/**
 * Returns the command for the audit log. A text that is not an id is not recorded, because it could be a secret value.
 */
export function releaseCommand(id: string): Command {
  return isHeldId(id) ? commandOf('release', undefined, id) : commandOf('release');
}

function notHeld(id: string, [first]: readonly AwaitingReplacement[]): AppError {
  const about = isHeldId(id) ? { subject: id } : {};
  if (first === undefined) return new AppError('NOT_HELD', about);
  const detail = `the orphaned target stays until ${formatTarget(first.until)} exists`;
  return new AppError('NOT_HELD', { ...about, detail });
}
