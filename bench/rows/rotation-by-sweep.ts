import { setTimeout as sleep } from 'node:timers/promises';
import { type Benchmark, type Row, row } from '../harness/row.ts';
import type { RotatedStore } from '../world/four-stores.ts';
import { ENGINES, type Engine, openLab } from '../world/lab.ts';
import { openRotations, type Rotations } from '../world/rotations.ts';
import { RUN_MODE_LABELS, size } from './cycles.ts';
import { createRandom, latencyOf, showLatency } from './latency.ts';

const ROTATIONS = 200;
const REFRESH_S = 10;
/** Rotations happen at random moments within this time. */
const SPREAD_MS = 60_000;

export const rotationBySweep: Benchmark = {
  name: 'rotation-by-sweep',
  title: `From a new value in the store to the Secret, by sweep only, refresh ${REFRESH_S} s`,
  goal: 'within 1.1 × the refresh (plus the delay of AWS lists, which the fake store does not have)',
  async run(options): Promise<readonly Row[]> {
    await using lab = await openLab(options);
    const rows: Row[] = [];
    for (const engine of ENGINES) {
      options.report(`${RUN_MODE_LABELS[engine]}: start`);
      const keysOfEach = size(options, ROTATIONS) / 4;
      const refresh = `${REFRESH_S}s`;
      await using rotations = await openRotations(
        lab,
        { engine, refresh, keysOfEach, events: false },
        options,
      );
      const random = createRandom(7);
      const times = await Promise.all(
        rotations.stores.flatMap((store) =>
          rotations
            .keys(store)
            .map(async (key) => ({ store, ms: await rotateAt(rotations, store, key, random()) })),
        ),
      );
      const all = times.map(({ ms }) => ms);
      options.report(`${RUN_MODE_LABELS[engine]}: ${showLatency(latencyOf(all))}`);
      rows.push(rowOf('all', engine, 'all four stores', all));
      for (const store of rotations.stores)
        rows.push(
          rowOf(
            store.name,
            engine,
            store.label,
            times.filter((one) => one.store === store).map(({ ms }) => ms),
          ),
        );
    }
    return rows;
  },
};

async function rotateAt(
  rotations: Rotations,
  store: RotatedStore,
  key: string,
  share: number,
): Promise<number> {
  await sleep(share * SPREAD_MS);
  return rotations.rotate(store, key, false);
}

function rowOf(id: string, engine: Engine, label: string, times: readonly number[]): Row {
  const { count, p50, p95, max } = latencyOf(times);
  const share = (seconds: number) => Math.round((seconds / REFRESH_S) * 1_000) / 1_000;
  return row({
    id: `sweep/${id}/${engine}`,
    title: `maximum, ${label}, ${RUN_MODE_LABELS[engine]}`,
    unit: 's',
    value: max,
    goal: { value: REFRESH_S * 1.1 },
    detail: { count, p50OfRefresh: share(p50), p95OfRefresh: share(p95), maxOfRefresh: share(max) },
  });
}
