import type { SecretMeta } from '../cluster/cluster.ts';
import { AppError } from '../core/errors.ts';
import { mapConcurrently } from '../core/map-concurrently.ts';
import type { TargetId } from '../core/target.ts';
import { destroy } from '../reconcile/destroy.ts';
import { proposeRemoval, type Orphan } from '../reconcile/orphans.ts';
import type { Outcome, Proposal } from '../reconcile/outcome.ts';
import { proposalOf } from '../reconcile/reconcile.ts';
import type { KnownPresence } from '../reconcile/presence.ts';
import { decideTarget, type DesiredTarget } from '../reconcile/targets.ts';
import type { DeletionInputs } from '../service/deletion/deletion-step.ts';
import type { SyncContext } from '../service/runs/sync-context.ts';
import { LABEL } from '../sync/ownership-metadata.ts';
import type { App } from './app.ts';
import {
  targetSubject,
  recordedAsHeld,
  type OrphanProposals,
  proposeOrphanDeletions,
  isStillProposed,
  populationOf,
  scanOrphans,
} from './orphans.ts';
import { HELD_BY_PRUNE } from './prune.ts';

const NO_ORPHANS: OrphanProposals = {
  proposals: [],
  waiting: [],
  count: 0,
  ended: 0,
  endedOfOthers: 0,
  unseen: [],
};

/**
 * The destroying step of the running service: decides anew on the targets that have proposed their end, and on those
 * that left the configuration, all of them together. Nothing, if it is another configuration by now.
 */
export async function destroyProposed(
  app: App,
  context: SyncContext,
  request: DeletionInputs,
): Promise<readonly Outcome[] | undefined> {
  const { config } = app;
  const {
    includeOrphans: withLeft,
    heldOrphans: heldLeft,
    isProposed: proposed,
    isUndecided: unknown,
    meta,
    replicasAgree: agrees,
    onWithdrawn: onOver,
    onProgress,
  } = request;
  const isInForce = isStillProposed(app);
  // Before the decisions: it takes a while, in which what was proposed may be as it should be again.
  const scanned = withLeft ? await scanOrphans(app, onProgress) : undefined;
  const ends = [...(await decideDeletions(app.targets.filter(proposed), app, context, onOver))];
  // Before a restart it was held, maybe with what is to go now: without it, that would be few enough.
  if (ends.length > 0 || withLeft) {
    const unseen = app.targets.filter((wanted) => wanted.error === undefined && unknown(wanted));
    ends.push(...(await decideDeletions(await recordedAsHeld(app, unseen, targetSubject), app, context)));
  }
  const presence = presenceByWatch(app, meta, ends);
  const left =
    scanned === undefined ? NO_ORPHANS : await proposeOrphanDeletions(app, undefined, presence, scanned);
  if (withLeft) {
    request.onWaiting(left.waiting);
    request.onUnreadable(left.unseen);
  }
  const proposals = [...ends, ...left.proposals];
  const pruned = await heldByPrune(app, scanned?.orphans ?? []);
  const others = { targets: [], leaving: withLeft ? pruned.length : heldLeft };
  const count = withLeft ? left.count : heldLeft;
  const population = await populationOf(app, { sight: presence, left: count, proposals, others });
  // All that may have taken minutes, in which a mapping that was taken out by mistake was put back.
  const isLeft = new Set(left.proposals);
  const isMeant = (proposal: Proposal): boolean =>
    (!isLeft.has(proposal) || agrees()) && isInForce(proposal, isLeft.has(proposal));
  if (app.config !== config || (withLeft && (!agrees() || !left.proposals.every(isMeant)))) return undefined;
  const { brake } = config;
  const decided = await destroy(proposals, population, { ...app, ...context, brake, isStillWanted: isMeant });
  return [...decided, ...pruned];
}

async function decideDeletions(
  targets: readonly DesiredTarget[],
  { config }: App,
  context: SyncContext,
  onOver: (wanted: DesiredTarget) => void = () => undefined,
): Promise<readonly Proposal[]> {
  const decided = await mapConcurrently(targets, config.engine.concurrency, async (wanted) => {
    const decision = await decideTarget(wanted, context);
    const { plan } = decision;
    const isEnd = plan.kind === 'delete' || plan.kind === 'recreate' || plan.kind === 'hold';
    // What cannot be decided just now may be an end still.
    const isOpen = plan.kind === 'fail' && plan.error.isTransient;
    if (!isEnd && !isOpen) onOver(wanted);
    return isEnd ? [proposalOf(wanted.mapping, decision, plan)] : [];
  });
  return decided.flat();
}

/** What a `prune` has held: no mapping asks for its end, and it waits for a person all the same. */
async function heldByPrune(app: App, left: readonly Orphan[]): Promise<readonly Outcome[]> {
  const kept = left.filter(({ onMappingRemoved }) => onMappingRemoved === 'keep');
  const held = await recordedAsHeld(
    app,
    kept,
    ({ mapping, live }) => ({ mapping, ...live.id }),
    HELD_BY_PRUNE,
  );
  return held.map((it) => {
    const { mapping, live, keys } = proposeRemoval(it, app.fingerprints);
    return { kind: 'held', mapping, target: live.id, keys, error: new AppError('HELD'), alive: true };
  });
}

/** By what the watch has: it may be late to tell of what was just made, so only a yes of it is believed. */
function presenceByWatch(
  { instances }: App,
  meta: (id: TargetId) => SecretMeta | undefined,
  ends: readonly Proposal[],
): KnownPresence {
  // What is to be made anew may not come back.
  const returning = new Set(ends.filter(({ replacement }) => replacement).map(({ mapping }) => mapping));
  const ours = ({ mapping, id }: DesiredTarget): SecretMeta | undefined => {
    const seen = mapping.target.mode === 'merge' ? undefined : meta(id);
    const isOurs = instances.includes(seen?.labels[LABEL.instance] ?? '') && seen?.ours !== undefined;
    return isOurs && !seen.deleting ? seen : undefined;
  };
  return {
    isPresent: (wanted) => (ours(wanted) === undefined ? undefined : true),
    isCreated(wanted) {
      if (returning.has(wanted.mapping.name)) return false;
      return ours(wanted)?.labels[LABEL.mapping] === wanted.mapping.name ? true : undefined;
    },
  };
}
