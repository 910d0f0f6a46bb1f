import type { Clock } from '../../core/clock.ts';
import { withMark } from '../../core/request-id.ts';
import type { TargetId } from '../../core/target.ts';
import type { Logger } from '../../log/logger.ts';
import type { Outcome } from '../../reconcile/outcome.ts';
import type { Board } from '../board.ts';
import { type Generation, wantedIn } from '../generation.ts';
import { undoneWait } from '../leaving/destroying.ts';
import type { Ledger } from '../ledger.ts';
import { logOutcome } from './log-outcome.ts';

export interface DecidedDeps {
  readonly board: Pick<Board, 'known' | 'note' | 'forget'>;
  readonly ledger: Pick<Ledger, 'trigger'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly generation: () => Generation;
  readonly restartSoon: () => void;
  /** Has a target looked at again, after so long. */
  readonly lookLater: (target: TargetId, delayMs: number) => void;
}

/** Soon, and not in the middle of others that go. */
const GONE_MS = 10_000;

/** Takes note of what became of a target by the destroying step, or by a person's release. */
export type Decided = (outcome: Outcome, requestId: string, startedAt: number) => void;

export function createDecided(deps: DecidedDeps): Decided {
  const { board, ledger, clock, logger } = deps;
  return (outcome, requestId, startedAt) => {
    const { mapping, target, kind, error, keys, alive, restarts } = outcome;
    if (restarts) deps.restartSoon();
    const before = board.known(mapping, target);
    logOutcome(logger, outcome, requestId, { before: before?.proposed ? undefined : before?.error?.code });
    const wanted = wantedIn(deps.generation(), outcome);
    if (!alive && wanted === undefined) {
      board.forget(mapping, target);
      return;
    }
    const okAt = error === undefined ? startedAt : before?.okAt;
    // What was held before this process began has no job that would see its end.
    const nextLook = before === undefined && wanted ? clock.now() + wanted.mapping.refreshMs : undefined;
    // Deleted, and not made anew: tried again as any other failure is. What is held is looked at in its own time.
    const isLost = wanted !== undefined && kind === 'failed' && !alive;
    // Not deleted for want of an answer, or not begun: nothing else has it looked at before its refresh.
    const isUndone = wanted !== undefined && kind === 'failed' && alive && error?.heals === true;
    const failures = before?.failures ?? 0;
    // Deleted with its source: what it lacks from now on, only another look says.
    const isGone = wanted !== undefined && kind === 'deleted';
    const delayMs = isGone ? GONE_MS : undoneWait(failures);
    const kept = error === undefined ? undefined : (before?.retryAt ?? nextLook);
    const retryAt = isLost ? undefined : isUndone || isGone ? clock.now() + delayMs : kept;
    board.note({
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
    if (isLost) ledger.trigger(target, 'event', withMark(requestId, ''));
    else if (isUndone || isGone) deps.lookLater(target, delayMs);
  };
}
