import { mapConcurrently } from '../core/map-concurrently.ts';
import { destroy } from '../reconcile/destroy.ts';
import type { Outcome } from '../reconcile/outcome.ts';
import { proposalOf } from '../reconcile/reconcile.ts';
import { decideWanted, type Wanted } from '../reconcile/targets.ts';
import type { App, Pass } from './app.ts';
import { type Leaving, leftProposals, populationOf } from './left.ts';

const NOTHING_LEFT: Leaving = { proposals: [], count: 0, ended: 0, unseen: [] };

/**
 * The destroying step of the running service: decides anew on the targets that have proposed their end, and on
 * those that left the configuration, all of them together.
 */
export async function destroyProposed(
  app: App,
  pass: Pass,
  {
    withLeft,
    proposed,
    isThere,
  }: {
    /** Whether also what left the configuration is looked for. */
    readonly withLeft: boolean;
    readonly proposed: (it: Wanted) => boolean;
    readonly isThere: (it: Wanted) => boolean;
  },
): Promise<readonly Outcome[]> {
  const candidates = app.targets.filter(proposed);
  const decided = await mapConcurrently(candidates, app.config.engine.concurrency, async (it) => {
    const decision = await decideWanted(it, pass);
    const { plan } = decision;
    const isEnd = plan.kind === 'delete' || plan.kind === 'recreate' || plan.kind === 'hold';
    return isEnd ? [proposalOf(it.mapping, decision, plan)] : [];
  });
  const left = withLeft ? await leftProposals(app, undefined) : NOTHING_LEFT;
  for (const { what, error } of left.unseen)
    app.logger.warn('what left the configuration could not be looked at', { name: what, error });
  const seen = app.targets.map((it) => ({ alive: isThere(it) }));
  const population = populationOf(app, seen, left.count);
  const proposals = [...decided.flat(), ...left.proposals];
  return destroy(proposals, population, { ...app, ...pass, brake: app.config.brake });
}
