import { AppError } from '../core/errors.ts';
import { remove } from '../reconcile/destroy.ts';
import { recoverIntents } from '../reconcile/recover.ts';
import { removal } from '../sync/plan.ts';
import type { App, PassOptions } from './app.ts';
import { toHeld } from './held.ts';
import { planPass } from './plan.ts';
import { listLeft } from './prune.ts';
import { finishRestarts } from './restarts.ts';
import { report, type SyncReport } from './sync.ts';

/**
 * Lets one held change happen, by its id; with `only`, known to be of this mapping. It is decided anew before: what has changed since it was held has
 * another id, so that nobody releases what they did not see.
 */
export async function releaseHeld(
  app: App,
  id: string,
  { only, ...asked }: PassOptions & { readonly only?: string } = {},
): Promise<SyncReport> {
  await recoverIntents(app.audit, app.cluster, app.instances, app.restartOf);
  const pass = await app.pass(asked);
  const { recorder } = pass;
  await recorder.command(`release ${id}`);
  const { targets } = await planPass(app, pass, only);
  // Of one mapping alone the plan does not show that the brake holds it, together with those of others; whoever
  // names the mapping knows. `prune` may have held what a sync leaves alone.
  const isHeld = ({ action, proposal }: (typeof targets)[number]): boolean =>
    action === 'hold' || (only !== undefined && proposal !== undefined);
  const held = [...targets.filter(isHeld), ...(await listLeft(app, asked)).targets];
  const found = held.find((it) => toHeld(app.config.instance, it).id === id);
  if (found?.proposal === undefined) throw new AppError('NOT_HELD', { about: id });
  const { proposal, mapping, target, keys } = found;
  const mine = proposal.ending === undefined ? removal(proposal.live, app.fingerprints) : undefined;
  if (mine?.kind === 'refuse') throw mine.error;
  await recorder.release(mapping, target, keys, id);
  const outcome = await app.audit.exclusively('destroy', () =>
    remove(proposal, { ...app, ...pass, brake: app.config.brake }, 'released'),
  );
  if (outcome.restarts) await finishRestarts(app);
  return report(app, { targets: [outcome], recorder });
}
