import type { Clock } from '../core/clock.ts';
import { type ConfigSnapshot, desiredIn } from './config-snapshot.ts';
import type { Outbox } from './outbox.ts';
import type { TargetStates } from './target-states.ts';

export interface LostRetriesDeps {
  readonly states: Pick<TargetStates, 'all'>;
  readonly outbox: Pick<Outbox, 'requestedAt' | 'trigger'>;
  readonly clock: Clock;
  readonly snapshot: () => ConfigSnapshot;
  /** A retry counts as lost only this long after its due time, because it may still wait in the queue. */
  readonly lostAfterMs: number;
}

/**
 * Queues targets whose retry was lost with the queue. If the clock was set back, the last run of a target may have
 * ended in the future. Such targets are queued too, because their retries would be late and sweeps skip targets with a
 * pending retry.
 */
export function createLostRetries({
  states,
  outbox,
  clock,
  snapshot,
  lostAfterMs,
}: LostRetriesDeps): (requestId: string) => void {
  let lastRunAt = clock.now();
  return (requestId) => {
    const now = clock.now();
    const isSetBack = now < lastRunAt;
    lastRunAt = now;
    for (const state of states.all()) {
      const { target, endedAt, retryAt } = state;
      if (retryAt === undefined) continue;
      if (now - retryAt < lostAfterMs && !(isSetBack && endedAt > now)) continue;
      if (desiredIn(snapshot(), state) !== undefined && outbox.requestedAt(target) === undefined)
        outbox.trigger(target, 'sweep', requestId);
    }
  };
}
