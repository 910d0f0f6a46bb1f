import type { Clock } from '../../core/clock.ts';
import { withSuffix } from '../../core/request-id.ts';
import type { TargetId } from '../../core/target.ts';
import type { Logger } from '../../log/logger.ts';
import type { Outcome } from '../../reconcile/outcome.ts';
import type { TargetStates } from '../target-states.ts';
import { type ConfigSnapshot, desiredIn } from '../config-snapshot.ts';
import { deletionBackoff } from './deletion-step.ts';
import type { Outbox } from '../outbox.ts';
import { logOutcome } from '../runs/log-outcome.ts';

export interface NoteDeletionDeps {
  readonly states: Pick<TargetStates, 'get' | 'note' | 'forget'>;
  readonly outbox: Pick<Outbox, 'trigger'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly snapshot: () => ConfigSnapshot;
  readonly queueRestart: () => void;
  /** Has a target looked at again, after so long. */
  readonly queueLater: (target: TargetId, delayMs: number) => void;
}

/** Soon, and not in the middle of others that go. */
const DELETED_WAIT_MS = 10_000;

/** Takes note of what became of a target by the destroying step, or by a person's release. */
export type NoteDeletion = (outcome: Outcome, requestId: string, startedAt: number) => void;

export function createNoteDeletion(deps: NoteDeletionDeps): NoteDeletion {
  const { states, outbox, clock, logger } = deps;
  return (outcome, requestId, startedAt) => {
    const { mapping, target, kind, error, keys, alive, restarts } = outcome;
    if (restarts) deps.queueRestart();
    const before = states.get(mapping, target);
    logOutcome(logger, outcome, requestId, { before: before?.proposed ? undefined : before?.error?.code });
    const desired = desiredIn(deps.snapshot(), outcome);
    if (!alive && desired === undefined) {
      states.forget(mapping, target);
      return;
    }
    const okAt = error === undefined ? startedAt : before?.okAt;
    // What was held before this process began has no job that would see its end.
    const nextLook = before === undefined && desired ? clock.now() + desired.mapping.refreshMs : undefined;
    // Deleted, and not made anew: tried again as any other failure is. What is held is looked at in its own time.
    const isLost = desired !== undefined && kind === 'failed' && !alive;
    // Not deleted for want of an answer, or not begun: nothing else has it looked at before its refresh.
    const isNotDeleted = desired !== undefined && kind === 'failed' && alive && error?.isTransient === true;
    const failures = before?.failures ?? 0;
    // Deleted with its source: what it lacks from now on, only another look says.
    const isDeleted = desired !== undefined && kind === 'deleted';
    const delayMs = isDeleted ? DELETED_WAIT_MS : deletionBackoff(failures);
    const keptRetryAt = error === undefined ? undefined : (before?.retryAt ?? nextLook);
    const retryAt = isLost ? undefined : isNotDeleted || isDeleted ? clock.now() + delayMs : keptRetryAt;
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
      ...(before?.pinned === undefined ? {} : { pinned: before.pinned }),
      ...(before?.resourceVersion === undefined ? {} : { resourceVersion: before.resourceVersion }),
      keys,
    });
    if (isLost) outbox.trigger(target, 'event', withSuffix(requestId, ''));
    else if (isNotDeleted || isDeleted) deps.queueLater(target, delayMs);
  };
}
