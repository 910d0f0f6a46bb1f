import { setTimeout as sleep } from 'node:timers/promises';
import { type Benchmark, type Row, row } from '../harness/row.ts';
import { median } from '../harness/statistics.ts';
import type { RotatedStore } from '../world/four-stores.ts';
import { type Engine, openLab } from '../world/lab.ts';
import { openRotations, type Rotations } from '../world/rotations.ts';
import { createRandom, latencyOf, showLatency } from './latency.ts';
import { SHOWN, size } from './passes.ts';

const ROTATIONS = 500;
const KEYS_OF_EACH = 50;
/** Between two rotations of one store, at most. */
const PAUSE_MS = 600;
const ENGINES = ['memory', 'redis'] as const satisfies readonly Engine[];

interface Times {
  readonly ours: readonly number[];
  readonly bare: readonly number[];
}

export const rotationByEvent: Benchmark = {
  name: 'rotation-by-event',
  title: 'From the new value in the store to the Secret, by event',
  goal: 'p95 < 1 s over 500 rotations in four stores',
  async run(options): Promise<readonly Row[]> {
    await using lab = await openLab(options);
    const rows: Row[] = [];
    for (const engine of ENGINES) {
      const keysOfEach = size(options, KEYS_OF_EACH);
      options.report(`${SHOWN[engine]}: start`);
      await using it = await openRotations(lab, { engine, refresh: '1h', keysOfEach, events: true }, options);
      // What a process does for the first time is measured elsewhere.
      for (const store of it.stores) await rotateAll(it, store, 5);
      const each = size(options, ROTATIONS) / it.stores.length;
      const times = new Map<RotatedStore, Times>();
      await Promise.all(
        it.stores.map(async (store) => times.set(store, await rotateAll(it, store, Math.ceil(each)))),
      );
      const of = (what: keyof Times) => [...times.values()].flatMap((its) => its[what]);
      rows.push(...rowsOf(engine, { ours: of('ours'), bare: of('bare') }));
      for (const [{ name, shown, told }, its] of times) {
        options.report(`${SHOWN[engine]}: ${shown}: ${showLatency(latencyOf(its.ours))}`);
        rows.push(slowest(name, engine, `${shown} by ${told}`, its));
      }
    }
    return rows;
  },
};

/** One after the other, at random moments, each beside a bare read and write. */
async function rotateAll(it: Rotations, store: RotatedStore, count: number): Promise<Times> {
  const random = createRandom(store.name.length);
  const keys = it.keys(store);
  const ours: number[] = [];
  const bare: number[] = [];
  for (let n = 0; n < count; n += 1) {
    const key = keys[n % keys.length] ?? '';
    await sleep(random() * PAUSE_MS);
    ours.push(await it.rotate(store, key, true));
    bare.push(await it.bare(store, key));
  }
  return { ours, bare };
}

function rowsOf(engine: Engine, times: Times): readonly Row[] {
  return [
    slowest('all', engine, 'all four stores', times),
    row({
      id: `event/median/${engine}`,
      title: `median, all four stores, ${SHOWN[engine]}`,
      unit: 's',
      value: median(times.ours) / 1_000,
      floor: median(times.bare) / 1_000,
    }),
  ];
}

/** Without a ratio: that of two 95th percentiles says more about the machine than about us. */
function slowest(id: string, engine: Engine, shown: string, { ours, bare }: Times): Row {
  const { count, p50, p95, p99, max } = latencyOf(ours);
  const floor = latencyOf(bare);
  return row({
    id: `event/${id}/${engine}`,
    title: `p95, ${shown}, ${SHOWN[engine]}`,
    unit: 's',
    value: p95,
    goal: { value: 1 },
    detail: { count, p50, p99, max, bareP50: floor.p50, bareP95: floor.p95 },
  });
}
