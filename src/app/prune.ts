import { destroy } from '../reconcile/destroy.ts';
import { proposalOf, type Unseen } from '../reconcile/left.ts';
import { recoverIntents } from '../reconcile/recover.ts';
import type { App } from './app.ts';
import { leftTargets } from './left.ts';
import type { PlannedTarget } from './plan.ts';
import { report, type SyncReport } from './sync.ts';

/** The targets of this instance that no mapping wants, as `prune` would delete them. */
export async function listLeft(
  app: App,
): Promise<{ readonly targets: readonly PlannedTarget[]; readonly unseen: readonly Unseen[] }> {
  // Selectors first: a target in a namespace that one chooses has not left.
  await app.pass();
  const { left, unseen } = await leftTargets(app, true);
  const targets = left.map((it): PlannedTarget => {
    const proposal = proposalOf(it, app.fingerprints);
    const { mapping, live, keys } = proposal;
    return { mapping, target: live.id, action: 'delete', keys, alive: true, proposal };
  });
  return { targets, unseen };
}

/** Deletes them, under the brake like every deletion. */
export async function pruneLeft(app: App): Promise<SyncReport> {
  await recoverIntents(app.audit, app.cluster, app.instances, app.restartOf);
  const pass = await app.pass();
  const { recorder } = pass;
  await recorder.command('prune');
  const { left, unseen } = await leftTargets(app, true);
  const proposals = left.map((it) => proposalOf(it, app.fingerprints));
  // The targets that mappings want are not looked at here; that they are there is what the last sync made sure of.
  const population = { total: app.targets.length + left.length, alive: app.targets.length + left.length };
  const targets = await destroy(proposals, population, { ...app, ...pass, brake: app.config.brake });
  return report(app, { targets, unseen, recorder });
}
