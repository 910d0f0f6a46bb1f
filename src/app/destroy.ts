import type { SecretMeta } from '../cluster/cluster.ts';
import { AppError } from '../core/errors.ts';
import { mapConcurrently } from '../core/map-concurrently.ts';
import type { TargetId } from '../core/target.ts';
import { destroy } from '../reconcile/destroy.ts';
import { endOfLeft, type Left } from '../reconcile/left.ts';
import type { Outcome, Proposal } from '../reconcile/outcome.ts';
import { proposalOf } from '../reconcile/reconcile.ts';
import type { Sight } from '../reconcile/standing.ts';
import { decideWanted, type Wanted } from '../reconcile/targets.ts';
import type { Destroying } from '../service/leaving/destroying.ts';
import type { Pass } from '../service/runs/pass.ts';
import { LABEL } from '../sync/marks.ts';
import type { App } from './app.ts';
import {
  aboutWanted,
  heldAmong,
  type Leaving,
  leftProposals,
  meantStill,
  populationOf,
  scanLeft,
} from './left.ts';
import { BY_PRUNE } from './prune.ts';

const NOTHING_LEFT: Leaving = {
  proposals: [],
  waiting: [],
  count: 0,
  ended: 0,
  endedOfOthers: 0,
  unseen: [],
};

/**
 * The destroying step of the running service: decides anew on the targets that have proposed their end, and on
 * those that left the configuration, all of them together. Nothing, if it is another configuration by now.
 */
export async function destroyProposed(
  app: App,
  pass: Pass,
  see: Destroying,
): Promise<readonly Outcome[] | undefined> {
  const { config } = app;
  const { withLeft, heldLeft, proposed, unknown, meta, agrees, onOver, onProgress } = see;
  const isInForce = meantStill(app);
  // Before the decisions: it takes a while, in which what was proposed may be as it should be again.
  const scanned = withLeft ? await scanLeft(app, onProgress) : undefined;
  const ends = [...(await endsAmong(app.targets.filter(proposed), app, pass, onOver))];
  // Before a restart it was held, maybe with what is to go now: without it, that would be few enough.
  if (ends.length > 0 || withLeft) {
    const unseen = app.targets.filter((it) => it.error === undefined && unknown(it));
    ends.push(...(await endsAmong(await heldAmong(app, unseen, aboutWanted), app, pass)));
  }
  const sight = sightByWatch(app, meta, ends);
  const left = scanned === undefined ? NOTHING_LEFT : await leftProposals(app, undefined, sight, scanned);
  if (withLeft) {
    see.onWaiting(left.waiting);
    see.onUnseen(left.unseen);
  }
  const proposals = [...ends, ...left.proposals];
  const pruned = await heldByPrune(app, scanned?.left ?? []);
  const others = { targets: [], leaving: withLeft ? pruned.length : heldLeft };
  const count = withLeft ? left.count : heldLeft;
  const population = await populationOf(app, { sight, left: count, proposals, others });
  // All that may have taken minutes, in which a mapping that was taken out by mistake was put back.
  const isLeft = new Set(left.proposals);
  const isMeant = (it: Proposal): boolean => (!isLeft.has(it) || agrees()) && isInForce(it, isLeft.has(it));
  if (app.config !== config || (withLeft && (!agrees() || !left.proposals.every(isMeant)))) return undefined;
  const { brake } = config;
  const decided = await destroy(proposals, population, { ...app, ...pass, brake, isMeant });
  return [...decided, ...pruned];
}

async function endsAmong(
  targets: readonly Wanted[],
  { config }: App,
  pass: Pass,
  onOver: (it: Wanted) => void = () => undefined,
): Promise<readonly Proposal[]> {
  const decided = await mapConcurrently(targets, config.engine.concurrency, async (it) => {
    const decision = await decideWanted(it, pass);
    const { plan } = decision;
    const isEnd = plan.kind === 'delete' || plan.kind === 'recreate' || plan.kind === 'hold';
    // What cannot be decided just now may be an end still.
    const isOpen = plan.kind === 'fail' && plan.error.heals;
    if (!isEnd && !isOpen) onOver(it);
    return isEnd ? [proposalOf(it.mapping, decision, plan)] : [];
  });
  return decided.flat();
}

/** What a `prune` has held: no mapping asks for its end, and it waits for a person all the same. */
async function heldByPrune(app: App, left: readonly Left[]): Promise<readonly Outcome[]> {
  const kept = left.filter(({ onMappingRemoved }) => onMappingRemoved === 'keep');
  const held = await heldAmong(app, kept, ({ mapping, live }) => ({ mapping, ...live.id }), BY_PRUNE);
  return held.map((it) => {
    const { mapping, live, keys } = endOfLeft(it, app.fingerprints);
    return { kind: 'held', mapping, target: live.id, keys, error: new AppError('HELD'), alive: true };
  });
}

/** By what the watch has: it may be late to tell of what was just made, so only a yes of it is believed. */
function sightByWatch(
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
