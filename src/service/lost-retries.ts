import type { Clock } from '../core/clock.ts';
import type { TargetStates } from './target-states.ts';
import { type ConfigSnapshot, desiredIn } from './config-snapshot.ts';
import type { Outbox } from './outbox.ts';

export interface LostRetriesDeps {
  readonly states: Pick<TargetStates, 'all'>;
  readonly outbox: Pick<Outbox, 'requestedAt' | 'trigger'>;
  readonly clock: Clock;
  readonly snapshot: () => ConfigSnapshot;
  /** After its time a retry may still wait behind many others; only after so long it is taken for lost. */
  readonly lostAfterMs: number;
}

/**
 * Has those targets looked at whose retry was lost with the queue. And when the clock was set back since the last look,
 * those that ended at a time that is yet to come: their retries would be as late as it was set back, and until then
 * sweeps would leave them to that.
 */
export function createLostRetries({
  states,
  outbox,
  clock,
  snapshot,
  lostAfterMs: lostMs,
}: LostRetriesDeps): (requestId: string) => void {
  let lastRunAt = clock.now();
  return (requestId) => {
    const now = clock.now();
    const isSetBack = now < lastRunAt;
    lastRunAt = now;
    for (const state of states.all()) {
      const { target, endedAt, retryAt } = state;
      if (retryAt === undefined) continue;
      if (now - retryAt < lostMs && !(isSetBack && endedAt > now)) continue;
      if (desiredIn(snapshot(), state) !== undefined && outbox.requestedAt(target) === undefined)
        outbox.trigger(target, 'sweep', requestId);
    }
  };
}
