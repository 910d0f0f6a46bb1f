import { smallest } from '../../core/lists.ts';
import type { ConfigSnapshot } from '../config-snapshot.ts';
import { lastFullSweepAt } from '../status.ts';
import type { SweepState } from '../target-state.ts';
import type { TargetStates } from '../target-states.ts';
import type { Sweep } from './shards.ts';

/**
 * Copies the sweep states to new shards. If the number of keys or targets changes, the shards of a store may have other
 * names. Until their first sweep, new shards use the oldest state of the previous shards.
 */
export function carryOverSweeps(states: TargetStates, before: ConfigSnapshot, now: ConfigSnapshot): void {
  const ownerOf = ({ store, include = '' }: Sweep) => `${store}/${include}`;
  const shards = Map.groupBy(before.shards, ([, { sweep }]) => ownerOf(sweep));
  const former = new Map<string, SweepState | undefined>();
  for (const [name, { sweep }] of now.shards) {
    if (before.shards.has(name) || states.sweepState(name) !== undefined) continue;
    const { refreshMs } = sweep;
    const id = `${ownerOf(sweep)} ${refreshMs}`;
    if (!former.has(id)) {
      const ofStore = shards.get(ownerOf(sweep)) ?? [];
      const alike = ofStore.filter(([, shard]) => shard.sweep.refreshMs === refreshMs);
      // If two mappings share a key, the key may have moved to another interval, so use all shards of the store.
      former.set(id, oldest((alike.length > 0 ? alike : ofStore).map(([shard]) => states.sweepState(shard))));
    }
    const swept = former.get(id);
    if (swept !== undefined) states.noteSweep(name, swept);
  }
}

/** Returns the oldest state of the shards that were swept before. */
function oldest(all: readonly (SweepState | undefined)[]): SweepState | undefined {
  const swept = all.filter((sweepState) => sweepState !== undefined);
  if (swept.length === 0) return undefined;
  const okAt = lastFullSweepAt(swept);
  const code = swept.find((sweepState) => sweepState.code !== undefined)?.code;
  return {
    at: smallest(swept.map(({ at }) => at)),
    ...(okAt === undefined ? {} : { okAt }),
    ...(code === undefined ? {} : { code }),
  };
}
