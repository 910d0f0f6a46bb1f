import type { App } from '../app/app.ts';
import type { SecretMeta } from '../cluster/cluster.ts';
import { AppError } from '../core/errors.ts';
import { append } from '../core/lists.ts';
import { mapConcurrently } from '../core/semaphore.ts';
import type { TargetId } from '../core/target.ts';
import type { SyncContext } from '../reconcile/context.ts';
import { destroy } from '../reconcile/destroy.ts';
import { type Orphan, proposeRemoval } from '../reconcile/orphans.ts';
import type { Outcome, Proposal } from '../reconcile/outcome.ts';
import type { KnownPresence } from '../reconcile/presence.ts';
import { proposalOf } from '../reconcile/reconcile.ts';
import { type DesiredTarget, decideTarget } from '../reconcile/targets.ts';
import type { DeletionInputs } from '../service/deletion/deletion-step.ts';
import { LABEL } from '../sync/ownership-metadata.ts';
import {
  heldSince,
  isStillProposed,
  type OrphanProposals,
  populationOf,
  proposeOrphanDeletions,
  recordedAsHeld,
  scanOrphans,
  targetSubject,
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
 * Deletes targets that the running service has proposed for deletion, and orphaned targets. First decides again about
 * all of them together. Returns undefined if the configuration has changed in the meantime.
 */
export async function destroyProposed(
  app: App,
  context: SyncContext,
  request: DeletionInputs,
): Promise<readonly Outcome[] | undefined> {
  const { config } = app;
  const {
    includeOrphans,
    heldOrphans,
    isProposed,
    isUndecided,
    meta,
    replicasAgree,
    onWithdrawn,
    onProgress,
    onWriting,
    signal,
  } = request;
  const isInForce = isStillProposed(app);
  // Search for orphans before deciding about the proposals. The search takes time, and during the search the reason for
  // a proposed deletion can disappear.
  const scanned = includeOrphans ? await scanOrphans(app, onProgress) : undefined;
  const ends = [...(await decideDeletions(app.targets.filter(isProposed), app, context, onWithdrawn))];
  // Include changes that were held before this process started. Without these changes, the brake would count too few
  // deletions and could allow all proposals.
  if (ends.length > 0 || includeOrphans) {
    const unknownTargets = app.targets.filter((wanted) => wanted.error === undefined && isUndecided(wanted));
    const held = await recordedAsHeld(app, unknownTargets, targetSubject);
    append(ends, await decideDeletions(held, app, context));
  }
  const presence = presenceByWatch(app, meta, ends);
  const orphans =
    scanned === undefined ? NO_ORPHANS : await proposeOrphanDeletions(app, undefined, presence, scanned);
  if (includeOrphans) {
    request.onWaiting(orphans.waiting);
    request.onUnreadable(orphans.unseen);
  }
  const proposals = [...ends, ...orphans.proposals];
  const pruned = await heldByPrune(app, scanned?.orphans ?? []);
  const others = { targets: [], leaving: includeOrphans ? pruned.length : heldOrphans };
  const count = includeOrphans ? orphans.count : heldOrphans;
  const population = await populationOf(app, { presence, orphanCount: count, proposals, others });
  // The steps above can take minutes. In this time, someone may have restored a mapping that was removed by mistake. So
  // check again that the targets are still orphaned.
  const isLeft = new Set(orphans.proposals);
  const isMeant = (proposal: Proposal): boolean => {
    signal.throwIfAborted();
    return (!isLeft.has(proposal) || replicasAgree()) && isInForce(proposal, isLeft.has(proposal));
  };
  if (app.config !== config || (includeOrphans && (!replicasAgree() || !orphans.proposals.every(isMeant))))
    return undefined;
  const { brake } = config;
  const isStillWanted = (proposal: Proposal): boolean => {
    const isWanted = isMeant(proposal);
    (isWanted ? onWriting : request.onSkipped)();
    return isWanted;
  };
  const decided = await destroy(proposals, population, { ...app, ...context, brake, isStillWanted });
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
    // After a transient failure, the next attempt may still decide to delete the target. So keep the proposal.
    const isOpen = plan.kind === 'fail' && plan.error.isTransient;
    if (!isEnd && !isOpen) onOver(wanted);
    return isEnd ? [proposalOf(wanted.mapping, decision, plan)] : [];
  });
  return decided.flat();
}

/**
 * Returns the orphans whose deletion `prune` holds until a person releases it. No mapping proposes these deletions,
 * because `onMappingRemoved: keep` applies to these orphans.
 */
async function heldByPrune(app: App, orphans: readonly Orphan[]): Promise<readonly Outcome[]> {
  const kept = orphans.filter(({ onMappingRemoved }) => onMappingRemoved === 'keep');
  const held = await recordedAsHeld(
    app,
    kept,
    ({ mapping, live }) => ({ mapping, ...live.id }),
    HELD_BY_PRUNE,
  );
  return Promise.all(
    held.map(async (orphan) => {
      const { mapping, live, keys } = proposeRemoval(orphan, app.fingerprints);
      const target = live.id;
      const since = await heldSince(app, { mapping, target, keys });
      const error = new AppError('HELD', { detail: '`prune` would have deleted more than `brake` allows' });
      const outcome = { kind: 'held', mapping, target, keys, error, alive: true } as const;
      return since === undefined ? outcome : { ...outcome, heldSince: since };
    }),
  );
}

/**
 * Returns which targets exist according to the watch. The watch can lag behind new targets, so a target that is missing
 * in the watch may still exist.
 */
function presenceByWatch(
  { instances }: App,
  meta: (id: TargetId) => SecretMeta | undefined,
  ends: readonly Proposal[],
): KnownPresence {
  // A recreation deletes a target and then creates it. If the creation fails, the target stays deleted. So a target
  // does not count as present if it is about to be recreated.
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
