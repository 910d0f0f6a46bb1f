import { randomUUID } from 'node:crypto';
import type { TargetStates } from './target-states.ts';
import { type ConfigSnapshot, desiredIn } from './config-snapshot.ts';
import type { SweepState } from './target-state.ts';
import type { Outbox } from './outbox.ts';
import { lastFullSweepAt } from './status.ts';

export interface CarryOverDeps {
  readonly states: TargetStates;
  readonly outbox: Pick<Outbox, 'retain' | 'trigger'>;
}

/** What was known and asked for under one snapshot, as the next one wants it. */
export function carryOver(
  { states, outbox }: CarryOverDeps,
  before: ConfigSnapshot,
  now: ConfigSnapshot,
): void {
  const requestId = randomUUID();
  carryOverSweeps(states, before, now);
  outbox.retain((target) => now.forTarget(target).length > 0);
  for (const meta of states.metas()) if (now.forTarget(meta.id).length === 0) states.dropMeta(meta.id);
  for (const state of states.all()) {
    const isDesired = desiredIn(now, state) !== undefined;
    if (!isDesired && state.kind !== 'held') states.forget(state.mapping, state.target);
    // Held since it had left: nothing else would have it looked at, where it is as we would leave it.
    const isBack = state.kind === 'held' && desiredIn(before, state) === undefined;
    // Of several that wanted it, the one that has it may be among those that want it no more, and nothing else tells.
    const isFree =
      state.error?.code === 'TARGET_CLAIMED' &&
      now.forTarget(state.target).length < before.forTarget(state.target).length;
    if (isDesired && (isBack || isFree)) outbox.trigger(state.target, 'event', requestId);
  }
}

/**
 * A key or a target more may give the shards of a store other names, and their first rounds come within an interval:
 * until then the sources are as old as they were under the names of before.
 */
function carryOverSweeps(states: TargetStates, before: ConfigSnapshot, now: ConfigSnapshot): void {
  const shards = Map.groupBy(before.shards, ([, { sweep }]) => sweep.store);
  const former = new Map<string, SweepState | undefined>();
  for (const [name, { sweep }] of now.shards) {
    if (before.shards.has(name) || states.sweepState(name) !== undefined) continue;
    const { store, refreshMs } = sweep;
    const id = `${store} ${refreshMs}`;
    if (!former.has(id)) {
      const ofStore = shards.get(store) ?? [];
      const alike = ofStore.filter(([, shard]) => shard.sweep.refreshMs === refreshMs);
      // Of a key that two mappings share, the interval may be another one.
      former.set(id, oldest((alike.length > 0 ? alike : ofStore).map(([it]) => states.sweepState(it))));
    }
    const swept = former.get(id);
    if (swept !== undefined) states.noteSweep(name, swept);
  }
}

/** Of those that had a round yet. */
function oldest(all: readonly (SweepState | undefined)[]): SweepState | undefined {
  const swept = all.filter((sweepState) => sweepState !== undefined);
  if (swept.length === 0) return undefined;
  const okAt = lastFullSweepAt(swept);
  const code = swept.find((sweepState) => sweepState.code !== undefined)?.code;
  return {
    at: Math.min(...swept.map(({ at }) => at)),
    ...(okAt === undefined ? {} : { okAt }),
    ...(code === undefined ? {} : { code }),
  };
}
