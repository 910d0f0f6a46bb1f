import type { App } from '../app/app.ts';
import type { SyncContextOptions } from '../app/sync-context.ts';
import { type Command, commandOf } from '../audit/entry.ts';
import { AppError } from '../core/errors.ts';
import { formatTarget } from '../core/target.ts';
import type { SyncContext } from '../reconcile/context.ts';
import { closedFor, findAlreadyRemoved, remove } from '../reconcile/destroy.ts';
import type { Outcome } from '../reconcile/outcome.ts';
import type { AwaitingReplacement } from '../reconcile/presence.ts';
import { recordingCommand } from '../reconcile/recorder.ts';
import { recoverIntents } from '../reconcile/recover.ts';
import { planRemoval } from '../sync/plan.ts';
import { recordedAsHeld } from './orphans.ts';
import { isHeldId, planInContext, toHeld } from './plan.ts';
import type { PlannedTarget } from './planned-targets.ts';
import { listOrphans, type OrphanList } from './prune.ts';
import { runPendingRestarts } from './restarts.ts';
import { report, type SyncReport } from './sync.ts';

export interface ReleaseOptions extends SyncContextOptions {
  /** The mapping of the held change, if it is known. */
  readonly only?: string;
  /**
   * Whether to skip the restarts. The service sets this, because it restarts workloads itself within the time
   * `restarts.window`.
   */
  readonly skipRestarts?: boolean;
}

/**
 * Releases one held change by its id. First decides about the change again. If the result differs from the held change,
 * its id differs too, and nothing is released. So a person can only release a change that they have seen.
 */
export async function releaseHeld(
  app: App,
  id: string,
  { only, skipRestarts = false, ...contextOptions }: ReleaseOptions = {},
): Promise<SyncReport> {
  await recoverIntents(app);
  const context = await app.createContext(contextOptions);
  const { recorder } = context;
  const options = { ...contextOptions, ...(only === undefined ? {} : { only }) };
  const outcome = await recordingCommand(recorder, releaseCommand(id), (accept) =>
    carryOut(app, context, id, { ...options, accept }),
  );
  const unrestarted = skipRestarts ? [] : await runPendingRestarts(app, contextOptions.signal);
  return report(app, { targets: [outcome], unrestarted, recorder });
}

interface CarryOutOptions extends Omit<ReleaseOptions, 'skipRestarts'> {
  readonly accept: () => Promise<void>;
}

async function carryOut(
  app: App,
  context: SyncContext,
  id: string,
  { only, accept, ...contextOptions }: CarryOutOptions,
): Promise<Outcome> {
  // Plan as if no target were created, because a release creates none. After a rename, the old target must not be
  // deleted before the new target exists.
  const planned = await planInContext(app, context, only, { asItStands: true });
  const { targets, waiting = [] } = planned;
  // Collect all held changes. A plan for one mapping cannot apply the brake to all mappings together, so each proposal
  // in such a plan counts as held. `prune` may hold orphans that a sync keeps. If a change was recorded as held, it
  // stays held until the next decision about it, even if the brake would allow it now.
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
  const orphans = await listOrphans(app, contextOptions);
  const held = [...proposed.filter(isHeld), ...recordedHeld, ...orphans.targets];
  const selected = held.find((plannedTarget) => toHeld(app.config.instance, plannedTarget).id === id);
  if (selected?.proposal === undefined)
    throw (
      undecided(
        targets,
        [planned, orphans].flatMap(({ unseen = [] }) => unseen),
      ) ?? notHeld(id, waiting)
    );
  const { proposal, mapping, target, keys } = selected;
  const removalPlan =
    proposal.ending === undefined ? planRemoval(proposal.live, { ...app, ...app.config }) : undefined;
  if (removalPlan?.kind === 'refuse') throw removalPlan.error;
  const closed = closedFor(proposal, context);
  if (closed !== undefined) throw closed;
  const approval = await context.approvals.require({
    action: 'release',
    mapping,
    target,
    argument: id,
    keys,
  });
  await accept();
  return app.audit.exclusively('destroy', async () => {
    // In the meantime, another process has released the change or deleted the target.
    if ((await findAlreadyRemoved([proposal], app)).size > 0) throw notHeld(id, waiting);
    await context.recorder.release(mapping, target, { id, keys, approval });
    return remove({ ...proposal, approval }, { ...app, ...context, brake: app.config.brake }, 'released');
  });
}

/**
 * Returns the command for the audit log. If the text is not an id, it is not recorded, because it could be a secret
 * value.
 */
export function releaseCommand(id: string): Command {
  return isHeldId(id) ? commandOf('release', undefined, id) : commandOf('release');
}

/** Returns why the change may still be held, if a target could not be read now. */
function undecided(
  targets: readonly PlannedTarget[],
  unseen: NonNullable<OrphanList['unseen']>,
): AppError | undefined {
  const failed = targets.flatMap(({ action, error }) => (action === 'fail' && error ? [error] : []));
  return [...failed, ...unseen.map(({ error }) => error)].find(({ isTransient }) => isTransient);
}

function notHeld(id: string, [first]: readonly AwaitingReplacement[]): AppError {
  const about = isHeldId(id) ? { subject: id } : {};
  if (first === undefined) return new AppError('NOT_HELD', about);
  const detail = `the orphaned target stays until ${formatTarget(first.until)} exists`;
  return new AppError('NOT_HELD', { ...about, detail });
}
