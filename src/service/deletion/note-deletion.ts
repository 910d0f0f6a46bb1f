import type { Clock } from '../../core/clock.ts';
import { withSuffix } from '../../core/tracer.ts';
import type { Outcome } from '../../reconcile/outcome.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { type ConfigSnapshot, desiredIn } from '../config-snapshot.ts';
import { logOutcome } from '../runs/log-outcome.ts';
import type { StepJobs } from '../step-jobs.ts';
import type { TargetStates } from '../target-states.ts';
import type { Triggers } from '../triggers.ts';
import { deletionBackoff } from './deletion-step.ts';

export interface NoteDeletionDeps {
  readonly states: Pick<TargetStates, 'get' | 'note' | 'forget'>;
  readonly triggers: Pick<Triggers, 'trigger'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly snapshot: () => ConfigSnapshot;
  readonly steps: Pick<StepJobs, 'addRestart' | 'addTarget'>;
}

/** Short, but long enough for other deletions to end first. */
const DELETED_WAIT_MS = 10_000;

/** Stores the outcome of a deletion or of a released change. */
export type NoteDeletion = (outcome: Outcome, requestId: string, startedAt: number) => void;

export function createNoteDeletion(deps: NoteDeletionDeps): NoteDeletion {
  const { states, triggers, clock, logger } = deps;
  return (outcome, requestId, startedAt) => {
    const { mapping, target, kind, error, keys, alive, restarts } = outcome;
    if (restarts) deps.steps.addRestart();
    const before = states.get(mapping, target);
    logOutcome(logger, outcome, requestId, { before: before?.proposed ? undefined : before?.error?.code });
    const desired = desiredIn(deps.snapshot(), outcome);
    // An orphan that waits for its window has no state, because the deletion step finds it again.
    if (desired === undefined && (!alive || kind === 'waiting')) {
      states.forget(mapping, target);
      return;
    }
    const okAt = error === undefined ? startedAt : before?.okAt;
    // If a target was held before this process started, it has no retry time. Without a retry time, no job would notice
    // the end of the hold.
    const nextLook = before === undefined && desired ? clock.now() + desired.mapping.refreshMs : undefined;
    // The target was deleted and must be written again, so retry now. A held target keeps its own retry time.
    const isLost = desired !== undefined && kind === 'failed' && !alive;
    // The deletion failed temporarily or did not begin. Without a retry, the target would wait until its next refresh.
    const isNotDeleted = desired !== undefined && kind === 'failed' && alive && error?.isTransient === true;
    const failures = before?.failures ?? 0;
    // The target was deleted because its source is missing. Run the target again, so that its state shows which source
    // is missing.
    const isDeleted = desired !== undefined && kind === 'deleted';
    const delayMs = isDeleted ? DELETED_WAIT_MS : deletionBackoff(failures);
    const keptRetryAt = error === undefined ? undefined : (before?.retryAt ?? nextLook);
    const retryAt = isLost ? clock.now() : isNotDeleted || isDeleted ? clock.now() + delayMs : keptRetryAt;
    states.note({
      mapping,
      target,
      requestId,
      startedAt,
      endedAt: clock.now(),
      kind,
      ...(error === undefined ? {} : { error: error.toJSON() }),
      person: error !== undefined,
      failures,
      ...(retryAt === undefined ? {} : { retryAt }),
      ...(okAt === undefined ? {} : { okAt }),
      alive,
      ...(kind === 'held' && error !== undefined
        ? {
            hold: {
              reason: error.detail ?? error.message,
              since: Date.parse(outcome.heldSince ?? '') || startedAt,
            },
          }
        : {}),
      ...(before?.pinned === undefined ? {} : { pinned: before.pinned }),
      ...(before?.resourceVersion === undefined ? {} : { resourceVersion: before.resourceVersion }),
      keys,
    });
    if (isLost) triggers.trigger(target, 'event', withSuffix(requestId, ''));
    else if (isNotDeleted || isDeleted) deps.steps.addTarget(target, delayMs);
  };
}
