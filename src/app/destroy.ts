import type { SecretMeta } from '../cluster/cluster.ts';
import { mapConcurrently } from '../core/map-concurrently.ts';
import type { TargetId } from '../core/target.ts';
import { destroy } from '../reconcile/destroy.ts';
import type { Outcome, Proposal } from '../reconcile/outcome.ts';
import { proposalOf } from '../reconcile/reconcile.ts';
import type { Sight, Waiting } from '../reconcile/standing.ts';
import { decideWanted, type Wanted } from '../reconcile/targets.ts';
import { LABEL } from '../sync/marks.ts';
import type { App, Pass } from './app.ts';
import { leftProposals, populationOf } from './left.ts';

/**
 * The destroying step of the running service: decides anew on the targets that have proposed their end, and on
 * those that left the configuration, all of them together.
 */
export async function destroyProposed(
  app: App,
  pass: Pass,
  {
    proposed,
    meta,
    onWaiting,
  }: {
    readonly proposed: (it: Wanted) => boolean;
    /** As the watch has it. */
    readonly meta: (id: TargetId) => SecretMeta | undefined;
    /** Told which of what left stays for now. */
    readonly onWaiting: (waiting: readonly Waiting[]) => void;
  },
): Promise<readonly Outcome[]> {
  const candidates = app.targets.filter(proposed);
  const decided = await mapConcurrently(candidates, app.config.engine.concurrency, async (it) => {
    const decision = await decideWanted(it, pass);
    const { plan } = decision;
    const isEnd = plan.kind === 'delete' || plan.kind === 'recreate' || plan.kind === 'hold';
    return isEnd ? [proposalOf(it.mapping, decision, plan)] : [];
  });
  const ends = decided.flat();
  const sight = sightOf(app, meta, ends);
  const left = await leftProposals(app, undefined, sight);
  onWaiting(left.waiting);
  for (const { what, error } of left.unseen)
    app.logger.warn('what left the configuration could not be looked at', { name: what, error });
  const proposals = [...ends, ...left.proposals];
  const population = await populationOf(app, { sight, left: left.count, proposals });
  return destroy(proposals, population, { ...app, ...pass, brake: app.config.brake });
}

/** By what the watch has: it may be late to tell of what was just made, so only a yes of it is believed. */
function sightOf(
  { instances }: App,
  meta: (id: TargetId) => SecretMeta | undefined,
  ends: readonly Proposal[],
): Sight {
  // What is to be made anew may not come back.
  const returning = new Set(ends.filter(({ replacement }) => replacement).map(({ mapping }) => mapping));
  const ours = ({ mapping, id }: Wanted): SecretMeta | undefined => {
    const seen = mapping.target.mode === 'merge' ? undefined : meta(id);
    const isOurs = instances.includes(seen?.labels[LABEL.instance] ?? '') && seen?.ours !== undefined;
    return isOurs && !seen.deleting ? seen : undefined;
  };
  return {
    isThere: (it) => (ours(it) === undefined ? undefined : true),
    isMade(it) {
      if (returning.has(it.mapping.name)) return false;
      return ours(it)?.labels[LABEL.mapping] === it.mapping.name ? true : undefined;
    },
  };
}
