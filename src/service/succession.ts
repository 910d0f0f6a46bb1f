import { randomUUID } from 'node:crypto';
import type { Board } from './board.ts';
import { type Generation, wantedIn } from './generation.ts';
import type { Swept } from './known.ts';
import type { Ledger } from './ledger.ts';
import { sweptAt } from './status.ts';

export interface SuccessionDeps {
  readonly board: Board;
  readonly ledger: Pick<Ledger, 'keep' | 'trigger'>;
}

/** What was known and asked for under one generation, as the next one wants it. */
export function succeed({ board, ledger }: SuccessionDeps, before: Generation, now: Generation): void {
  const requestId = randomUUID();
  keepSweeps(board, before, now);
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

/**
 * A key or a target more may give the slots of a store other names, and their first rounds come within an interval: until then
 * the sources are as old as they were under the names of before.
 */
function keepSweeps(board: Board, before: Generation, now: Generation): void {
  const slots = Map.groupBy(before.slots, ([, { sweep }]) => sweep.store);
  const former = new Map<string, Swept | undefined>();
  for (const [name, { sweep }] of now.slots) {
    if (before.slots.has(name) || board.swept(name) !== undefined) continue;
    const { store, refreshMs } = sweep;
    const id = `${store} ${refreshMs}`;
    if (!former.has(id)) {
      const ofStore = slots.get(store) ?? [];
      const alike = ofStore.filter(([, it]) => it.sweep.refreshMs === refreshMs);
      // Of a key that two mappings share, the interval may be another one.
      former.set(id, oldest((alike.length > 0 ? alike : ofStore).map(([it]) => board.swept(it))));
    }
    const swept = former.get(id);
    if (swept !== undefined) board.noteSweep(name, swept);
  }
}

/** Of those that had a round yet. */
function oldest(all: readonly (Swept | undefined)[]): Swept | undefined {
  const swept = all.filter((it) => it !== undefined);
  if (swept.length === 0) return undefined;
  const okAt = sweptAt(swept);
  const code = swept.find((it) => it.code !== undefined)?.code;
  return {
    at: Math.min(...swept.map(({ at }) => at)),
    ...(okAt === undefined ? {} : { okAt }),
    ...(code === undefined ? {} : { code }),
  };
}
