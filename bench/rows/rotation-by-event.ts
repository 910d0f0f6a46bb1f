import { setTimeout as sleep } from 'node:timers/promises';
import { type Benchmark, type Row, row } from '../harness/row.ts';
import { median } from '../harness/statistics.ts';
import type { RotatedStore } from '../world/four-stores.ts';
import { ENGINES, type Engine, openLab } from '../world/lab.ts';
import { openRotations, type Rotations } from '../world/rotations.ts';
import { RUN_MODE_LABELS, size } from './cycles.ts';
import { createRandom, latencyOf, showLatency } from './latency.ts';

const ROTATIONS = 500;
const KEYS_OF_EACH = 50;
/** The longest pause between two rotations in one store. */
const PAUSE_MS = 600;

interface Times {
  readonly ours: readonly number[];
  readonly bare: readonly number[];
}

export const rotationByEvent: Benchmark = {
  name: 'rotation-by-event',
  title: 'From a new value in the store to the Secret, by event',
  goal: 'p95 < 1 s over 500 rotations in four stores',
  async run(options): Promise<readonly Row[]> {
    await using lab = await openLab(options);
    const rows: Row[] = [];
    for (const engine of ENGINES) {
      const keysOfEach = size(options, KEYS_OF_EACH);
      options.report(`${RUN_MODE_LABELS[engine]}: start`);
      await using rotations = await openRotations(
        lab,
        { engine, refresh: '1h', keysOfEach, events: true },
        options,
      );
      // Warm up, because this benchmark does not measure one-time initialization.
      for (const store of rotations.stores) await rotateAll(rotations, store, 5);
      const each = size(options, ROTATIONS) / rotations.stores.length;
      const times = new Map<RotatedStore, Times>();
      await Promise.all(
        rotations.stores.map(async (store) =>
          times.set(store, await rotateAll(rotations, store, Math.ceil(each))),
        ),
      );
      const of = (what: keyof Times) => [...times.values()].flatMap((storeTimes) => storeTimes[what]);
      rows.push(...rowsOf(engine, { ours: of('ours'), bare: of('bare') }));
      for (const [{ name, label, channel }, storeTimes] of times) {
        options.report(`${RUN_MODE_LABELS[engine]}: ${label}: ${showLatency(latencyOf(storeTimes.ours))}`);
        rows.push(slowest(name, engine, `${label} by ${channel}`, storeTimes));
      }
    }
    return rows;
  },
};

/**
 * Rotates keys one after the other at random moments. After each rotation, measures one read of the store and one write
 * of a Secret, both without the program.
 */
async function rotateAll(rotations: Rotations, store: RotatedStore, count: number): Promise<Times> {
  const random = createRandom(store.name.length);
  const keys = rotations.keys(store);
  const ours: number[] = [];
  const bare: number[] = [];
  for (let n = 0; n < count; n += 1) {
    const key = keys[n % keys.length] ?? '';
    await sleep(random() * PAUSE_MS);
    ours.push(await rotations.rotate(store, key, true));
    bare.push(await rotations.bare(store, key));
  }
  return { ours, bare };
}

function rowsOf(engine: Engine, times: Times): readonly Row[] {
  return [
    slowest('all', engine, 'all four stores', times),
    row({
      id: `event/median/${engine}`,
      title: `median, all four stores, ${RUN_MODE_LABELS[engine]}`,
      unit: 's',
      value: median(times.ours) / 1_000,
      floor: median(times.bare) / 1_000,
    }),
  ];
}

/** Returns a row without a ratio, because the ratio of two 95th percentiles depends mostly on the machine. */
function slowest(id: string, engine: Engine, label: string, { ours, bare }: Times): Row {
  const { count, p50, p95, p99, max } = latencyOf(ours);
  const floor = latencyOf(bare);
  return row({
    id: `event/${id}/${engine}`,
    title: `p95, ${label}, ${RUN_MODE_LABELS[engine]}`,
    unit: 's',
    value: p95,
    goal: { value: 1 },
    detail: { count, p50, p99, max, bareP50: floor.p50, bareP95: floor.p95 },
  });
}
