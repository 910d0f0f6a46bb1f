import type { Cluster, SecretMeta } from '../../cluster/cluster.ts';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { createCoalescer, createSerialExecutor } from '../../core/serial-executor.ts';
import type { TargetId } from '../../core/target.ts';
import type { Tracer } from '../../core/tracer.ts';
import type { Job } from '../../queue/queue.ts';
import type { SyncContext } from '../../reconcile/context.ts';
import type { Unreadable } from '../../reconcile/orphans.ts';
import type { Outcome } from '../../reconcile/outcome.ts';
import type { AwaitingReplacement } from '../../reconcile/presence.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { targetKey } from '../config-snapshot.ts';
import type { SyncContexts } from '../runs/sync-contexts.ts';
import type { TargetState } from '../target-state.ts';
import type { TargetStates } from '../target-states.ts';
import { createAwaitedReplacements } from './awaited-replacements.ts';
import { createUnreadableOrphans } from './unreadable-orphans.ts';

/** Input that the service provides to the deletion step. */
export interface DeletionInputs {
  /** Whether to scan for orphans too. The scan reads every target on record. */
  readonly includeOrphans: boolean;
  /** Without a scan: the number of known held orphans, which the brake counts. */
  readonly heldOrphans: number;
  readonly isProposed: (desired: DesiredTarget) => boolean;
  /** Whether no run has decided on the target since this process started. */
  readonly isUndecided: (desired: DesiredTarget) => boolean;
  /** Called for a target whose deletion was proposed or held and is no longer needed. */
  readonly onWithdrawn: (desired: DesiredTarget) => void;
  /** Returns the target's metadata from the watch. */
  readonly meta: (id: TargetId) => SecretMeta | undefined;
  /** Whether all replicas use the same configuration now. */
  readonly replicasAgree: () => boolean;
  /** Called after each target that the scan has checked, successfully or not. */
  readonly onProgress: () => void;
  /** Called with the orphans that are kept until their replacement is written. */
  readonly onWaiting: (waiting: readonly AwaitingReplacement[]) => void;
  /** Called with the possible orphans that could not be read. */
  readonly onUnreadable: (unseen: readonly Unreadable[]) => void;
}

export interface DeletionStepDeps {
  readonly cluster: Pick<Cluster, 'read'>;
  /** Returns `undefined` if the configuration changed before a decision. */
  readonly destroy: (context: SyncContext, see: DeletionInputs) => Promise<readonly Outcome[] | undefined>;
  readonly contexts: SyncContexts<SyncContext>;
  readonly states: TargetStates;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracer: Tracer;
  readonly isDesired: (state: Pick<TargetState, 'mapping' | 'target'>) => boolean;
  /** Receives each outcome. */
  readonly onOutcome: (outcome: Outcome, requestId: string, startedAt: number) => void;
  /** Queues the orphan check with a short delay, so that several requests cause one check. */
  readonly queueOrphanCheck: () => void;
  /** Whether all replicas use the same configuration. */
  readonly replicasAgree: () => boolean;
  /** Queues a run of the target. */
  readonly queueTarget: (target: TargetId, requestId: string) => void;
}

export interface DeletionStep {
  requestOrphanCheck(): void;
  /**
   * Queues the orphan check again if none has been completed since the last request, because the queue may have lost
   * the job.
   */
  requeueOrphanCheck(): void;
  /** Checks held orphans after a namespace changed, because they may have been deleted with it. */
  checkHeld(): void;
  /** Runs a deletion job. Returns the delay until its next run. */
  run(job: Job, kind: 'destroy' | 'left', onProgress: () => void): Promise<number | undefined>;
}

/** Interval of checks while replacements are awaited, in case the message about a replacement was lost. */
const AWAITED_RETRY_MS = 300_000;
/** Returns the delay after a failed deletion. It doubles with each failure, up to an hour. */
export function deletionBackoff(times: number): number {
  return Math.min(3_600_000, 60_000 * 2 ** times);
}

/** A new configuration normally reaches all replicas within two minutes. */
const DISAGREEMENT_RETRY_MS = 15_000;

/**
 * Creates the deletion jobs: `destroy` carries out proposed deletions, and `left` also scans for orphans. The scan
 * reads every target on record, so a proposal does not start one. The brake counts proposals and orphans together. So
 * `destroy` includes a scan if none was completed since the last request, and otherwise counts the held orphans.
 */
export function createDeletionStep(deps: DeletionStepDeps): DeletionStep {
  const { states, clock, contexts, tracer, isDesired } = deps;
  /** The number of the last requested orphan check, and of the last completed one. */
  const orphanChecks = { requested: 1, completed: 0 };
  const requestOrphanCheck = (): void => {
    orphanChecks.requested += 1;
    deps.queueOrphanCheck();
  };
  const awaited = createAwaitedReplacements({ states, logger: deps.logger, onArrival: requestOrphanCheck });
  const unreadable = createUnreadableOrphans(deps.logger);
  // Run one job at a time, because both kinds decide on the same targets.
  const serialize = createSerialExecutor();
  /** Progress callbacks of the running job and of the job that waits for it. Progress counts for both. */
  const beats = new Set<{ readonly beat: () => void }>();
  const beatAll = (): void => {
    for (const { beat } of beats) beat();
  };
  let wasDisagreeing = false;
  /** Number of consecutive scans with a failed deletion of an orphan. */
  let failedRounds = 0;

  const heldOrphanStates = (): readonly TargetState[] =>
    [...states.all()].filter((state) => state.kind === 'held' && !isDesired(state));

  /** Forgets the states of orphans that are no longer held. */
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
  /**
   * If a held orphan was deleted, requests a new decision, because the brake no longer counts it. No watch reports the
   * deletion of an orphan.
   */
  const checkHeld = createCoalescer(async () => {
    try {
      for (const { target } of heldOrphanStates()) if (await isDeleted(target)) return requestOrphanCheck();
    } catch (error) {
      deps.logger.error('held orphans could not be checked', { error });
    }
  });

  /** Returns the delay until the next orphan check, `undefined` for none, or `undecided`. */
  const run = async (
    job: Job,
    includeOrphans: boolean,
    onProgress: () => void,
  ): Promise<number | 'undecided' | undefined> => {
    const { requested } = orphanChecks;
    const context = await contexts.get(job, clock.now());
    const startedAt = clock.now();
    const retries: number[] = [];
    const destroy = () =>
      deps.destroy(context, {
        includeOrphans,
        heldOrphans: heldOrphanStates().length,
        isProposed({ mapping, id }) {
          const state = states.get(mapping.name, id);
          return state?.proposed === true || state?.kind === 'held';
        },
        isUndecided({ mapping, id }) {
          const state = states.get(mapping.name, id);
          return state === undefined || state.undecided === true;
        },
        // After a crash, the Secret may already be deleted. Only the target's own job can write it again.
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
    orphanChecks.completed = requested;
    forgetReleased(outcomes);
    // An orphan has no job of its own that would retry the deletion.
    failedRounds = outcomes.some((outcome) => outcome.error?.isTransient === true && !isDesired(outcome))
      ? failedRounds + 1
      : 0;
    if (failedRounds > 0) retries.push(deletionBackoff(failedRounds - 1));
    // While the replicas had different configurations, some orphans may have been skipped.
    if (!deps.replicasAgree()) retries.push(DISAGREEMENT_RETRY_MS);
    return retries.length === 0 ? undefined : Math.min(...retries);
  };

  return {
    requestOrphanCheck,
    requeueOrphanCheck() {
      if (orphanChecks.completed < orphanChecks.requested) deps.queueOrphanCheck();
    },
    checkHeld: () => void checkHeld(),
    async run(job, kind, onProgress) {
      const includeOrphans = () => kind === 'left' || orphanChecks.completed < orphanChecks.requested;
      // A target that one configuration does not contain may be new in another, so wait until all replicas agree.
      // Proposals wait too if the number of orphans is unknown, because the brake needs it.
      const isDisagreeing = !deps.replicasAgree();
      if (isDisagreeing && !wasDisagreeing)
        deps.logger.warn('orphaned targets stay while replicas have different configurations');
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
