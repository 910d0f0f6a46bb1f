import { totalOf } from '../doubles/start.ts';
import { applyAgain } from '../floor/writes.ts';
import { type Benchmark, type Row, row } from '../harness/row.ts';
import { median } from '../harness/statistics.ts';
import { type Lab, openLab, type Setting } from '../world/lab.ts';
import { costOf, serveUntil, syncOnce } from '../world/runs.ts';
import { distinctKeys } from '../world/scenes.ts';
import type { Usage } from '../world/usage.ts';
import { SHOWN, size, WAYS, type Way } from './passes.ts';

const ROUNDS = 3;
const CONCURRENCY = 16;
const LATENCY_MS = 10;

interface Measured extends Usage {
  readonly ms: number;
  readonly calls: number;
  readonly connections: number;
}

export const firstSyncTime: Benchmark = {
  name: 'first-sync',
  title: 'First sync of 1,000 mappings of 5 AWS keys into the real API server, 10 ms a store call',
  goal: '≤ 6 s, ≤ 1.5 × the same writes by a bare loop of server-side applies, CPU ≤ 6 s',
  async run(options): Promise<readonly Row[]> {
    await using lab = await openLab(options);
    const aws = await lab.double('aws');
    await aws.delay(LATENCY_MS);
    const count = size(options, 1_000);
    const scene = distinctKeys(count, []);
    await aws.put(scene.values);
    const floors: Measured[] = [];
    const loops: number[] = [];
    const ours: Record<Way, Measured[]> = { memory: [], redis: [], sync: [] };
    // In turn, so that a busier moment of the machine is everybody's. The first round warms the servers up.
    for (let round = 0; round <= (options.quick ? 1 : ROUNDS); round += 1) {
      for (const way of WAYS) {
        options.report(`round ${round}: ${SHOWN[way]}`);
        const { measured, floor, loopMs } = await measure(lab, way, count);
        if (round === 0) continue;
        ours[way].push(measured);
        floors.push(floor);
        loops.push(loopMs);
      }
    }
    const of = (all: readonly Measured[], what: keyof Measured) => median(all.map((it) => it[what]));
    return WAYS.flatMap((way) => {
      const own = ours[way];
      const detail = { rounds: own.length, slowest: Math.max(...own.map(({ ms }) => ms / 1_000)) };
      return [
        row({
          id: `first/time/${way}`,
          title: `from the start of the process, beside ${CONCURRENCY} writes at a time, ${SHOWN[way]}`,
          unit: 's',
          value: of(own, 'ms') / 1_000,
          floor: of(floors, 'ms') / 1_000,
          goal: { value: 6, ratio: 1.5 },
          detail,
        }),
        row({
          id: `first/loop/${way}`,
          title: `the same, beside a loop of one write after the other, ${SHOWN[way]}`,
          unit: 's',
          value: of(own, 'ms') / 1_000,
          floor: median(loops) / 1_000,
          goal: { ratio: 1.5 },
        }),
        row({
          id: `first/cpu/${way}`,
          title: `CPU, ${SHOWN[way]}`,
          unit: 's CPU',
          value: of(own, 'cpuMs') / 1_000,
          floor: of(floors, 'cpuMs') / 1_000,
          goal: { value: 6 },
        }),
        row({
          id: `first/memory/${way}`,
          title: `resident set at its end, ${SHOWN[way]}`,
          unit: 'MB',
          value: of(own, 'rssMb'),
          floor: of(floors, 'rssMb'),
        }),
        row({
          id: `first/calls/${way}`,
          title: `calls of the store, ${SHOWN[way]}`,
          unit: 'calls',
          value: of(own, 'calls'),
          floor: Object.keys(scene.values).length / 20,
          goal: { value: options.quick ? 36 : 310 },
        }),
        row({
          id: `first/connections/${way}`,
          title: `connections to the store, ${SHOWN[way]}`,
          unit: 'connections',
          value: of(own, 'connections'),
          floor: 1,
        }),
      ];
    });
  },
};

/** Ours, and then the floors with the very same Secrets: as many at a time as ours, and one after the other. */
async function measure(
  lab: Lab,
  way: Way,
  count: number,
): Promise<{ readonly measured: Measured; readonly floor: Measured; readonly loopMs: number }> {
  const aws = await lab.double('aws');
  const [namespace = '', other = '', third = ''] = await lab.namespaces(3);
  const setting: Setting = {
    engine: way === 'redis' ? 'redis' : 'memory',
    store: 'aws',
    double: aws,
    // Long, so that hardly a sweep falls into it.
    refresh: '1h',
    concurrency: CONCURRENCY,
    mappings: distinctKeys(count, [namespace]).mappings,
  };
  const place = await lab.place(setting);
  const { result, store } = await costOf(lab, aws, () =>
    way === 'sync' ? syncOnce(place) : serveUntil(place, lab, { namespace, secrets: count }),
  );
  const floor = await applyAgain(lab, place, { from: namespace, to: other, concurrency: CONCURRENCY });
  const { ms: loopMs } = await applyAgain(lab, place, { from: namespace, to: third, concurrency: 1 });
  const { ms, cpuMs, rssMb, maxRssMb } = result;
  return {
    measured: { ms, cpuMs, rssMb, maxRssMb, calls: totalOf(store), connections: store.connections },
    floor: { ...floor, calls: 0, connections: 0 },
    loopMs,
  };
}
