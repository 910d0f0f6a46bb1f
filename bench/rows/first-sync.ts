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
/** As it is without `engine.concurrency`, and what is best for a first sync. */
const CONCURRENCIES = [16, 64] as const;
type Concurrency = (typeof CONCURRENCIES)[number];
const LATENCY_MS = 10;

/** A way to run it, with so many targets at a time. */
interface Run {
  readonly id: string;
  readonly way: Way;
  readonly concurrency: Concurrency;
  readonly shown: string;
}

const RUNS: readonly Run[] = CONCURRENCIES.flatMap((concurrency) =>
  WAYS.map((way) => ({
    id: concurrency === 16 ? way : `${way}-${concurrency}`,
    way,
    concurrency,
    shown: concurrency === 16 ? SHOWN[way] : `${SHOWN[way]}, \`concurrency: ${concurrency}\``,
  })),
);

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
    const floors: Record<Concurrency, Measured[]> = { 16: [], 64: [] };
    const loops: number[] = [];
    const ours = new Map<Run, Measured[]>(RUNS.map((run) => [run, []]));
    // In turn, so that a busier moment of the machine is everybody's. The first round warms the servers up.
    for (let round = 0; round <= (options.quick ? 1 : ROUNDS); round += 1) {
      for (const [run, own] of ours) {
        options.report(`round ${round}: ${run.shown}`);
        const { measured, floor, loopMs } = await measure(lab, run, count);
        if (round === 0) continue;
        own.push(measured);
        floors[run.concurrency].push(floor);
        loops.push(loopMs);
      }
    }
    const of = (all: readonly Measured[], what: keyof Measured) => median(all.map((it) => it[what]));
    return [...ours].flatMap(([{ id, concurrency, shown }, own]) => {
      const floor = floors[concurrency];
      const detail = { rounds: own.length, slowest: Math.max(...own.map(({ ms }) => ms / 1_000)) };
      return [
        row({
          id: `first/time/${id}`,
          title: `from the start of the process, beside ${concurrency} writes at a time, ${shown}`,
          unit: 's',
          value: of(own, 'ms') / 1_000,
          floor: of(floor, 'ms') / 1_000,
          goal: { value: 6, ratio: 1.5 },
          detail,
        }),
        row({
          id: `first/loop/${id}`,
          title: `the same, beside a loop of one write after the other, ${shown}`,
          unit: 's',
          value: of(own, 'ms') / 1_000,
          floor: median(loops) / 1_000,
          goal: { ratio: 1.5 },
        }),
        row({
          id: `first/cpu/${id}`,
          title: `CPU, ${shown}`,
          unit: 's CPU',
          value: of(own, 'cpuMs') / 1_000,
          floor: of(floor, 'cpuMs') / 1_000,
          goal: { value: 6 },
        }),
        row({
          id: `first/memory/${id}`,
          title: `resident set at its end, ${shown}`,
          unit: 'MB',
          value: of(own, 'rssMb'),
          floor: of(floor, 'rssMb'),
        }),
        row({
          id: `first/calls/${id}`,
          title: `calls of the store, ${shown}`,
          unit: 'calls',
          value: of(own, 'calls'),
          floor: Object.keys(scene.values).length / 20,
          goal: { value: options.quick ? 36 : 310 },
        }),
        row({
          id: `first/connections/${id}`,
          title: `connections to the store, ${shown}`,
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
  { way, concurrency }: Run,
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
    concurrency,
    mappings: distinctKeys(count, [namespace]).mappings,
  };
  const place = await lab.place(setting);
  const { result, store } = await costOf(lab, aws, () =>
    way === 'sync' ? syncOnce(place) : serveUntil(place, lab, { namespace, secrets: count }),
  );
  const floor = await applyAgain(lab, place, { from: namespace, to: other, concurrency });
  const { ms: loopMs } = await applyAgain(lab, place, { from: namespace, to: third, concurrency: 1 });
  const { ms, cpuMs, rssMb, maxRssMb } = result;
  return {
    measured: { ms, cpuMs, rssMb, maxRssMb, calls: totalOf(store), connections: store.connections },
    floor: { ...floor, calls: 0, connections: 0 },
    loopMs,
  };
}
