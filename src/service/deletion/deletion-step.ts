import type { Cluster, SecretMeta } from '../../cluster/cluster.ts';
import { unlessStopped } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { smallest } from '../../core/lists.ts';
import { createCoalescer, createSerialExecutor } from '../../core/serial-executor.ts';
import type { TargetId } from '../../core/target.ts';
import { type Tracer, withSuffix } from '../../core/tracer.ts';
import type { Job } from '../../queue/queue.ts';
import type { SyncContext } from '../../reconcile/context.ts';
import type { Unreadable } from '../../reconcile/orphans.ts';
import type { Outcome } from '../../reconcile/outcome.ts';
import type { AwaitingReplacement } from '../../reconcile/presence.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { type ConfigSnapshot, desiredIn, targetKey } from '../config-snapshot.ts';
import type { SyncContexts } from '../runs/sync-contexts.ts';
import type { StepJobs } from '../step-jobs.ts';
import type { TargetState } from '../target-state.ts';
import type { TargetStates } from '../target-states.ts';
import type { Triggers } from '../triggers.ts';
import { type AwaitedReplacements, createAwaitedReplacements } from './awaited-replacements.ts';
import { createUnreadableOrphans, type UnreadableOrphans } from './unreadable-orphans.ts';

/** Input that the service provides to the deletion step. */
export interface DeletionInputs {
  /** Whether to scan for orphans too. The scan reads every target on record. */
  readonly includeOrphans: boolean;
  /** Without a scan: the number of known held orphans, which the brake counts. */
  readonly heldOrphans: number;
  readonly isProposed: (desired: DesiredTarget) => boolean;
  /** Whether no run has decided on the target since this process started. */
  readonly isUndecided: (desired: DesiredTarget) => boolean;
  /** Called for a target if its deletion was proposed or held and is no longer needed. */
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
  /** Aborted when the process ends. Then no further deletion begins. */
  readonly signal: AbortSignal;
  /** Called before each deletion and hold. */
  readonly onWriting: () => void;
  /** Called for each decision that is not carried out, because the configuration has changed since. */
  readonly onSkipped: () => void;
}

export interface DeletionStepDeps {
  readonly cluster: Pick<Cluster, 'read'>;
  /** Returns `undefined` if the configuration changed before a decision. */
  readonly destroy: (context: SyncContext, see: DeletionInputs) => Promise<readonly Outcome[] | undefined>;
  readonly contexts: SyncContexts<SyncContext>;
  readonly states: TargetStates;
  readonly snapshot: () => ConfigSnapshot;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracer: Tracer;
  readonly triggers: Pick<Triggers, 'trigger'>;
  readonly steps: Pick<StepJobs, 'addOrphanCheck'>;
  /** Receives each outcome. */
  readonly onOutcome: (outcome: Outcome, requestId: string, startedAt: number) => void;
  /** Whether all replicas use the same configuration. */
  readonly replicasAgree: () => boolean;
}

/** Interval of checks while replacements are awaited, in case the message about a replacement was lost. */
const AWAITED_RETRY_MS = 300_000;
/**
 * Interval of checks while replicas have different configurations, and the delay after the configuration has changed
 * during a check. A new configuration normally reaches all replicas within two minutes.
 */
const DISAGREEMENT_RETRY_MS = 15_000;

/** The longest wait for the window of an orphan, in case the clock is set. */
const MAX_WAIT_MS = 3_600_000;

/** Returns the delay after a failed deletion. It doubles with each failure, up to an hour. */
export function deletionBackoff(times: number): number {
  return Math.min(3_600_000, 60_000 * 2 ** times);
}

/**
 * The deletion jobs: `destroy` carries out proposed deletions, and `left` also scans for orphans. The scan reads every
 * target on record, so a proposal alone starts no scan. The brake counts proposals and orphans together. So `destroy`
 * includes a scan if an orphan check was requested and is not completed. Otherwise `destroy` counts the held orphans.
 */
export class DeletionStep {
  readonly #deps: DeletionStepDeps;
  readonly #awaited: AwaitedReplacements;
  readonly #unreadable: UnreadableOrphans;
  /** Runs one job at a time, because both kinds decide on the same targets. */
  readonly #inTurn = createSerialExecutor();
  /**
   * The progress callbacks of the running job and of the job that waits for the running one. Each step counts as
   * progress of both jobs.
   */
  readonly #beats = new Set<{ readonly beat: () => void }>();
  /** The number of the last requested orphan check, and of the last completed one. */
  #requestedCheck = 1;
  #completedCheck = 0;
  #wasDisagreeing = false;
  /** Number of consecutive scans with a failed deletion of an orphan. */
  #failedRounds = 0;

  constructor(deps: DeletionStepDeps) {
    this.#deps = deps;
    const { states, logger } = deps;
    this.#awaited = createAwaitedReplacements({ states, logger, onArrival: () => this.requestOrphanCheck() });
    this.#unreadable = createUnreadableOrphans(logger);
  }

  requestOrphanCheck(): void {
    this.#requestedCheck += 1;
    this.#deps.steps.addOrphanCheck();
  }

  /**
   * Queues the orphan check again if none has been completed since the last request, because the queue may have lost
   * the job.
   */
  requeueOrphanCheck(): void {
    if (this.#isCheckOpen()) this.#deps.steps.addOrphanCheck();
  }

  /**
   * Requests a new decision if a held orphan was deleted, because the brake no longer counts this orphan. Call it after
   * the namespaces have changed: orphans may have been deleted with their namespace, and no watch reports this.
   */
  readonly checkHeld = createCoalescer(async (): Promise<void> => {
    try {
      for (const { target } of this.#heldOrphans())
        if (await this.#isDeleted(target)) return this.requestOrphanCheck();
    } catch (error) {
      this.#deps.logger.error('held orphans could not be checked', { error });
    }
  });

  /** Runs a deletion job. Returns the delay until the next run of this job. */
  async run(
    job: Job,
    kind: 'destroy' | 'left',
    { onProgress, signal }: { readonly onProgress: () => void; readonly signal: AbortSignal },
  ): Promise<number | undefined> {
    const includesOrphans = () => kind === 'left' || this.#isCheckOpen();
    // If one configuration does not contain a target, the target may be new in another configuration. So wait until all
    // replicas use the same configuration. Proposals wait too if the number of orphans is unknown, because the brake
    // needs this number.
    if (this.#isDisagreeing() && includesOrphans()) return DISAGREEMENT_RETRY_MS;
    const progress = { beat: onProgress };
    this.#beats.add(progress);
    try {
      const delayMs = await this.#inTurn(() => this.#decide(job, includesOrphans(), signal));
      if (delayMs === 'undecided') return DISAGREEMENT_RETRY_MS;
      return kind === 'left' ? delayMs : undefined;
    } finally {
      this.#beats.delete(progress);
    }
  }

  #isDisagreeing(): boolean {
    const isDisagreeing = !this.#deps.replicasAgree();
    if (isDisagreeing && !this.#wasDisagreeing)
      this.#deps.logger.warn('orphaned targets stay while replicas have different configurations');
    this.#wasDisagreeing = isDisagreeing;
    return isDisagreeing;
  }

  #isCheckOpen(): boolean {
    return this.#completedCheck < this.#requestedCheck;
  }

  #isDesired(state: Pick<TargetState, 'mapping' | 'target'>): boolean {
    return desiredIn(this.#deps.snapshot(), state) !== undefined;
  }

  #heldOrphans(): readonly TargetState[] {
    return [...this.#deps.states.all()].filter((state) => state.kind === 'held' && !this.#isDesired(state));
  }

  async #isDeleted(target: TargetId): Promise<boolean> {
    try {
      return (await this.#deps.cluster.read(target)) === undefined;
    } catch (error) {
      if (error instanceof AppError) return false;
      throw error;
    }
  }

  /**
   * Returns the delay until the next orphan check, or `undefined` if none is needed. Returns `undecided` if the
   * configuration changed before a decision.
   */
  async #decide(
    job: Job,
    includeOrphans: boolean,
    signal: AbortSignal,
  ): Promise<number | 'undecided' | undefined> {
    signal.throwIfAborted();
    const { contexts, clock, tracer, destroy, onOutcome, replicasAgree } = this.#deps;
    const check = this.#requestedCheck;
    const context = await contexts.get(job, clock.now());
    const startedAt = clock.now();
    const retries: number[] = [];
    let isWriting = false;
    const onWriting = () => {
      isWriting = true;
    };
    const inputs = { ...this.#inputs(job, includeOrphans, { startedAt, retries, signal }), onWriting };
    const outcomes = await tracer.span(
      'job',
      { operation: includeOrphans ? 'left' : 'destroy' },
      () => unlessStopped(destroy(context, inputs), signal, { isWriting: () => isWriting }),
      { requestId: job.requestId, isRoot: true },
    );
    if (outcomes === undefined) return 'undecided';
    for (const outcome of outcomes) onOutcome(outcome, job.requestId, startedAt);
    if (!includeOrphans) return undefined;
    this.#completedCheck = check;
    this.#forgetReleased(outcomes);
    // Schedule another orphan check after a failed deletion, because an orphan has no job of its own that would retry.
    const orphans = outcomes.filter((outcome) => !this.#isDesired(outcome));
    for (const { kind, error } of orphans)
      if (kind === 'waiting') retries.push(Math.min(error?.retryAfterMs ?? MAX_WAIT_MS, MAX_WAIT_MS));
    const hasFailed = orphans.some(({ kind, error }) => kind !== 'waiting' && error?.isTransient === true);
    this.#failedRounds = hasFailed ? this.#failedRounds + 1 : 0;
    if (hasFailed) retries.push(deletionBackoff(this.#failedRounds - 1));
    // While the replicas had different configurations, some orphans may have been skipped.
    if (!replicasAgree()) retries.push(DISAGREEMENT_RETRY_MS);
    return retries.length === 0 ? undefined : smallest(retries);
  }

  /** @param retries Receives the delays until the next orphan check. */
  #inputs(
    job: Job,
    includeOrphans: boolean,
    {
      startedAt,
      retries,
      signal,
    }: { readonly startedAt: number; readonly retries: number[]; readonly signal: AbortSignal },
  ): Omit<DeletionInputs, 'onWriting'> {
    const { states, triggers, replicasAgree } = this.#deps;
    return {
      includeOrphans,
      signal,
      heldOrphans: this.#heldOrphans().length,
      isProposed({ mapping, id }) {
        const state = states.get(mapping.name, id);
        return state?.proposed === true || state?.kind === 'held';
      },
      isUndecided({ mapping, id }) {
        const state = states.get(mapping.name, id);
        return state === undefined || state.undecided === true;
      },
      // Run the target's own job. After a crash, the Secret may already be deleted, and no other job writes it again.
      onWithdrawn: ({ id }) => triggers.trigger(id, 'event', withSuffix(job.requestId, '')),
      meta: (id) => states.meta(id),
      replicasAgree,
      onProgress: () => {
        signal.throwIfAborted();
        for (const { beat } of this.#beats) beat();
      },
      onWaiting: (waiting) => {
        if (this.#awaited.note(waiting, startedAt)) retries.push(AWAITED_RETRY_MS);
      },
      onUnreadable: (unseen) => {
        const delayMs = this.#unreadable.note(unseen);
        if (delayMs !== undefined) retries.push(delayMs);
      },
      // The change may concern other mappings only. Then it requests no orphan check.
      onSkipped: () => {
        retries.push(DISAGREEMENT_RETRY_MS);
      },
    };
  }

  /** Forgets the states of orphans that are no longer held. */
  #forgetReleased(outcomes: readonly Outcome[]): void {
    const held = new Set(outcomes.map(({ mapping, target }) => targetKey(mapping, target)));
    for (const { mapping, target } of this.#heldOrphans())
      if (!held.has(targetKey(mapping, target))) this.#deps.states.forget(mapping, target);
  }
}
