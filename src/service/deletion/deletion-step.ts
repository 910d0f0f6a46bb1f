import type { Cluster, SecretMeta } from '../../cluster/cluster.ts';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { createSerialExecutor } from '../../core/serial-executor.ts';
import type { TargetId } from '../../core/target.ts';
import type { Tracer } from '../../core/tracer.ts';
import type { Logger } from '../../log/logger.ts';
import type { Job } from '../../queue/queue.ts';
import type { Unreadable } from '../../reconcile/orphans.ts';
import type { Outcome } from '../../reconcile/outcome.ts';
import type { AwaitingReplacement } from '../../reconcile/presence.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import type { TargetStates } from '../target-states.ts';
import { targetKey } from '../config-snapshot.ts';
import type { TargetState } from '../target-state.ts';
import type { SyncContext } from '../runs/sync-context.ts';
import type { SyncContexts } from '../runs/sync-contexts.ts';
import { createCoalescedTask } from '../intervals.ts';
import { createUnreadableOrphans } from './unreadable-orphans.ts';
import { createAwaitedReplacements } from './awaited-replacements.ts';

/** What the service knows for its destroying step. */
export interface DeletionInputs {
  /** Whether also what left the configuration is looked for, which reads each target that ever was. */
  readonly includeOrphans: boolean;
  /** Otherwise: how many of what left are held, and count. */
  readonly heldOrphans: number;
  readonly isProposed: (desired: DesiredTarget) => boolean;
  /** No run has decided on it since this process began. */
  readonly isUndecided: (desired: DesiredTarget) => boolean;
  /** Told of one that has proposed its end, or is held, and is to go no more. */
  readonly onWithdrawn: (desired: DesiredTarget) => void;
  /** As the watch has it. */
  readonly meta: (id: TargetId) => SecretMeta | undefined;
  /** Whether all replicas work by the same configuration, now. */
  readonly replicasAgree: () => boolean;
  /** Told after each look at a target that may have left, well or not. */
  readonly onProgress: () => void;
  /** Told which of what left stays for now. */
  readonly onWaiting: (waiting: readonly AwaitingReplacement[]) => void;
  /** Told what may have left, and could not be looked at. */
  readonly onUnreadable: (unseen: readonly Unreadable[]) => void;
}

export interface DeletionStepDeps {
  readonly cluster: Pick<Cluster, 'read'>;
  /** Gives nothing where it has decided nothing, since the configuration has changed meanwhile. */
  readonly destroy: (context: SyncContext, see: DeletionInputs) => Promise<readonly Outcome[] | undefined>;
  readonly contexts: SyncContexts<SyncContext>;
  readonly states: TargetStates;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracer: Tracer;
  readonly isDesired: (known: Pick<TargetState, 'mapping' | 'target'>) => boolean;
  /** Told what became of each. */
  readonly onOutcome: (outcome: Outcome, requestId: string, startedAt: number) => void;
  /** Adds the job that looks for what left, once for what comes together. */
  readonly queueOrphanCheck: () => void;
  /** Whether all replicas work by the same configuration. */
  readonly replicasAgree: () => boolean;
  /** Has a target looked at. */
  readonly queueTarget: (target: TargetId, requestId: string) => void;
}

export interface DeletionStep {
  requestOrphanCheck(): void;
  /** Adds the job again where what left was not looked for since it was asked for: the queue may have lost it. */
  requeueOrphanCheck(): void;
  /** A namespace has changed, which may have taken along what is held. */
  checkHeld(): void;
  /** Works off one of both jobs; gives when it is to run again. */
  run(job: Job, kind: 'destroy' | 'left', onProgress: () => void): Promise<number | undefined>;
}

/** What waits for a target that has not come is looked at when it comes, and so soon if nobody was told. */
const AWAITED_RETRY_MS = 300_000;
/** How soon what could not be deleted is looked at again: later and later. */
export function deletionBackoff(times: number): number {
  return Math.min(3_600_000, 60_000 * 2 ** times);
}

/** A configuration reaches all replicas within a minute or two. */
const DISAGREEMENT_RETRY_MS = 15_000;

/**
 * The jobs that destroy: for what was proposed, and for what left the configuration. Every target that ever was is
 * looked at for the latter, so that is not done for each proposal; but the brake sums all of it, so what left must have
 * been looked for once, and what is held of it counts.
 */
export function createDeletionStep(deps: DeletionStepDeps): DeletionStep {
  const { states, clock, contexts, tracer, isDesired } = deps;
  /** How often what left was to be looked for, and which of these times has been. */
  const orphanChecks = { asked: 1, seen: 0 };
  const requestOrphanCheck = (): void => {
    orphanChecks.asked += 1;
    deps.queueOrphanCheck();
  };
  const awaited = createAwaitedReplacements({ states, logger: deps.logger, onArrival: requestOrphanCheck });
  const unreadable = createUnreadableOrphans(deps.logger);
  // Both decide on the same, and what one has destroyed is nothing for the other to hold.
  const serialize = createSerialExecutor();
  /** Of the one that runs, and of the one that waits for it: its progress is that of both. */
  const beats = new Set<{ readonly beat: () => void }>();
  const beatAll = (): void => {
    for (const { beat } of beats) beat();
  };
  let wasDisagreeing = false;
  /** How many times in a row something could not be deleted. */
  let failedRounds = 0;

  const heldOrphanStates = (): readonly TargetState[] =>
    [...states.all()].filter((known) => known.kind === 'held' && !isDesired(known));

  /** What is held no longer, although nobody wants its target. */
  const forgetReleased = (outcomes: readonly Outcome[]): void => {
    const held = new Set(outcomes.map(({ mapping, target }) => targetKey(mapping, target)));
    for (const { mapping, target } of heldOrphanStates())
      if (!held.has(targetKey(mapping, target))) states.forget(mapping, target);
  };

  const isDeleted = async (target: TargetId): Promise<boolean> => {
    try {
      return (await deps.cluster.read(target)) === undefined;
    } catch (error) {
      if (error instanceof AppError) return false;
      throw error;
    }
  };
  /** No watch tells of what left. What is gone counts no more for the brake, so that all of it is decided anew. */
  const checkHeld = createCoalescedTask(
    async () => {
      for (const { target } of heldOrphanStates()) if (await isDeleted(target)) return requestOrphanCheck();
    },
    (error) => deps.logger.error('what is held could not be looked at', { error }),
  );

  /** Gives how soon to look again for what left, if not only when it is asked for; or that it decided nothing. */
  const run = async (
    job: Job,
    includeOrphans: boolean,
    onProgress: () => void,
  ): Promise<number | 'undecided' | undefined> => {
    const { asked } = orphanChecks;
    const context = await contexts.get(job, clock.now());
    const startedAt = clock.now();
    const retries: number[] = [];
    const destroy = () =>
      deps.destroy(context, {
        includeOrphans: includeOrphans,
        heldOrphans: heldOrphanStates().length,
        isProposed({ mapping, id }) {
          const known = states.get(mapping.name, id);
          return known?.proposed === true || known?.kind === 'held';
        },
        isUndecided({ mapping, id }) {
          const known = states.get(mapping.name, id);
          return known === undefined || known.undecided === true;
        },
        // It may be gone already, and be made anew by its own job alone: when we were cut short between the two.
        onWithdrawn: ({ id }) => deps.queueTarget(id, job.requestId),
        meta: (id) => states.meta(id),
        replicasAgree: deps.replicasAgree,
        onProgress,
        onWaiting(waiting) {
          if (awaited.note(waiting, startedAt)) retries.push(AWAITED_RETRY_MS);
        },
        onUnreadable(unseen) {
          const wait = unreadable.note(unseen);
          if (wait !== undefined) retries.push(wait);
        },
      });
    const { requestId } = job;
    const attributes = { operation: includeOrphans ? 'left' : 'destroy' };
    const outcomes = await tracer.span('job', attributes, destroy, { requestId, isRoot: true });
    if (outcomes === undefined) return 'undecided';
    for (const outcome of outcomes) deps.onOutcome(outcome, requestId, startedAt);
    if (!includeOrphans) return undefined;
    orphanChecks.seen = asked;
    forgetReleased(outcomes);
    // Of what nobody wants no job of its own comes back.
    failedRounds = outcomes.some((outcome) => outcome.error?.isTransient === true && !isDesired(outcome))
      ? failedRounds + 1
      : 0;
    if (failedRounds > 0) retries.push(deletionBackoff(failedRounds - 1));
    // Some may have been passed over for it.
    if (!deps.replicasAgree()) retries.push(DISAGREEMENT_RETRY_MS);
    return retries.length === 0 ? undefined : Math.min(...retries);
  };

  return {
    requestOrphanCheck: requestOrphanCheck,
    requeueOrphanCheck() {
      if (orphanChecks.seen < orphanChecks.asked) deps.queueOrphanCheck();
    },
    checkHeld: () => void checkHeld(),
    async run(job, kind, onProgress) {
      const includeOrphans = () => kind === 'left' || orphanChecks.seen < orphanChecks.asked;
      // What one of them does not know may be new to it and wanted by another. Without it nothing else is decided
      // either, since the brake sums all of it.
      const isDisagreeing = !deps.replicasAgree();
      if (isDisagreeing && !wasDisagreeing)
        deps.logger.warn('what left the configuration stays while replicas have different ones');
      wasDisagreeing = isDisagreeing;
      if (isDisagreeing && includeOrphans()) return DISAGREEMENT_RETRY_MS;
      const progress = { beat: onProgress };
      beats.add(progress);
      try {
        const retries = await serialize(() => run(job, includeOrphans(), beatAll));
        if (retries === 'undecided') return DISAGREEMENT_RETRY_MS;
        return kind === 'left' ? retries : undefined;
      } finally {
        beats.delete(progress);
      }
    },
  };
}
