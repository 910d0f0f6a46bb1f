import { randomUUID } from 'node:crypto';
import type { Board } from './board.ts';
import { type Generation, wantedIn } from './generation.ts';
import type { Ledger } from './ledger.ts';

export interface SuccessionDeps {
  readonly board: Board;
  readonly ledger: Pick<Ledger, 'keep' | 'trigger'>;
}

/** What was known and asked for under one generation, as the next one wants it. */
export function succeed({ board, ledger }: SuccessionDeps, before: Generation, now: Generation): void {
  const requestId = randomUUID();
  ledger.keep((target) => now.at(target).length > 0);
  for (const meta of board.metas()) if (now.at(meta.id).length === 0) board.dropMeta(meta.id);
  for (const known of board.all()) {
    const isWanted = wantedIn(now, known) !== undefined;
    if (!isWanted && known.kind !== 'held') board.forget(known.mapping, known.target);
    // Held since it had left: nothing else would have it looked at, where it is as we would leave it.
    const isBack = known.kind === 'held' && wantedIn(before, known) === undefined;
    // Of several that wanted it, the one that has it may be among those that want it no more, and nothing else tells.
    const isFree =
      known.error?.code === 'TARGET_CLAIMED' && now.at(known.target).length < before.at(known.target).length;
    if (isWanted && (isBack || isFree)) ledger.trigger(known.target, 'event', requestId);
  }
}
