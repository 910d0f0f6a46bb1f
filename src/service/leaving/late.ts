import type { Clock } from '../../core/clock.ts';
import type { Board } from '../board.ts';
import { type Generation, wantedIn } from '../generation.ts';
import type { Ledger } from '../ledger.ts';

export interface LateDeps {
  readonly board: Pick<Board, 'all'>;
  readonly ledger: Pick<Ledger, 'since' | 'trigger'>;
  readonly clock: Clock;
  readonly generation: () => Generation;
  /** After its time a retry may still wait behind many others; only after so long it is taken for lost. */
  readonly lostMs: number;
}

/**
 * Has those targets looked at whose retry was lost with the queue. And when the clock was set back since the last look,
 * those that ended at a time that is yet to come: their retries would be as late as it was set back, and until then
 * sweeps would leave them to that.
 */
export function createLate({
  board,
  ledger,
  clock,
  generation,
  lostMs,
}: LateDeps): (requestId: string) => void {
  let lookedAt = clock.now();
  return (requestId) => {
    const now = clock.now();
    const isSetBack = now < lookedAt;
    lookedAt = now;
    for (const known of board.all()) {
      const { target, endedAt, retryAt } = known;
      if (retryAt === undefined) continue;
      if (now - retryAt < lostMs && !(isSetBack && endedAt > now)) continue;
      if (wantedIn(generation(), known) !== undefined && ledger.since(target) === undefined)
        ledger.trigger(target, 'sweep', requestId);
    }
  };
}
