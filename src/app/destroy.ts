import { destroy } from '../reconcile/destroy.ts';
import type { Outcome } from '../reconcile/outcome.ts';
import { proposalOf } from '../reconcile/reconcile.ts';
import { decideWanted, type Wanted } from '../reconcile/targets.ts';
import type { App, Pass } from './app.ts';
import { leftProposals, populationOf } from './left.ts';
import { mapConcurrently } from './map-concurrently.ts';

/**
 * The destroying step of the running service: decides anew on the targets that have proposed their end, and on
 * those that left the configuration, all of them together.
 */
export async function destroyProposed(
  app: App,
  pass: Pass,
  { proposed, isThere }: { proposed: (it: Wanted) => boolean; isThere: (it: Wanted) => boolean },
): Promise<readonly Outcome[]> {
  const candidates = app.targets.filter(proposed);
  const decided = await mapConcurrently(candidates, app.config.engine.concurrency, async (it) => {
    const decision = await decideWanted(it, pass);
    const { plan } = decision;
    const isEnd = plan.kind === 'delete' || plan.kind === 'recreate' || plan.kind === 'hold';
    return isEnd ? [proposalOf(it.mapping, decision, plan)] : [];
  });
  const left = await leftProposals(app, undefined);
  const seen = app.targets.map((it) => ({ alive: isThere(it) }));
  const population = populationOf(app, seen, left.count);
  const proposals = [...decided.flat(), ...left.proposals];
  return destroy(proposals, population, { ...app, ...pass, brake: app.config.brake });
}
