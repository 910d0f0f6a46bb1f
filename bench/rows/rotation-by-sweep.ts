import { setTimeout as sleep } from 'node:timers/promises';
import { type Benchmark, type Row, row } from '../harness/row.ts';
import type { RotatedStore } from '../world/four-stores.ts';
import { type Engine, openLab } from '../world/lab.ts';
import { openRotations, type Rotations } from '../world/rotations.ts';
import { createRandom, latencyOf, showLatency } from './latency.ts';
import { SHOWN, size } from './passes.ts';

const ROTATIONS = 200;
const REFRESH_S = 10;
/** All of them at random moments of this time. */
const SPREAD_MS = 60_000;
const ENGINES = ['memory', 'redis'] as const satisfies readonly Engine[];

export const rotationBySweep: Benchmark = {
  name: 'rotation-by-sweep',
  title: `From the new value in the store to the Secret, by the sweep alone, refresh ${REFRESH_S} s`,
  goal: 'within 1.1 × the refresh (beside what a list of AWS is late, which the double never is)',
  async run(options): Promise<readonly Row[]> {
    await using lab = await openLab(options);
    const rows: Row[] = [];
    for (const engine of ENGINES) {
      options.report(`${SHOWN[engine]}: start`);
      const keysOfEach = size(options, ROTATIONS) / 4;
      const refresh = `${REFRESH_S}s`;
      await using it = await openRotations(lab, { engine, refresh, keysOfEach, events: false }, options);
      const random = createRandom(7);
      const times = await Promise.all(
        it.stores.flatMap((store) =>
          it.keys(store).map(async (key) => ({ store, ms: await rotateAt(it, store, key, random()) })),
        ),
      );
      const all = times.map(({ ms }) => ms);
      options.report(`${SHOWN[engine]}: ${showLatency(latencyOf(all))}`);
      rows.push(rowOf('all', engine, 'all four stores', all));
      for (const store of it.stores)
        rows.push(
          rowOf(
            store.name,
            engine,
            store.shown,
            times.filter((one) => one.store === store).map(({ ms }) => ms),
          ),
        );
    }
    return rows;
  },
};

async function rotateAt(it: Rotations, store: RotatedStore, key: string, share: number): Promise<number> {
  await sleep(share * SPREAD_MS);
  return it.rotate(store, key, false);
}

function rowOf(id: string, engine: Engine, shown: string, times: readonly number[]): Row {
  const { count, p50, p95, max } = latencyOf(times);
  const share = (seconds: number) => Math.round((seconds / REFRESH_S) * 1_000) / 1_000;
  return row({
    id: `sweep/${id}/${engine}`,
    title: `the longest, ${shown}, ${SHOWN[engine]}`,
    unit: 's',
    value: max,
    goal: { value: REFRESH_S * 1.1 },
    detail: { count, p50OfRefresh: share(p50), p95OfRefresh: share(p95), maxOfRefresh: share(max) },
  });
}
