import { totalOf } from '../fake-stores/start.ts';
import { applyAgain } from '../floor/writes.ts';
import { type Benchmark, type Row, row } from '../harness/row.ts';
import { median } from '../harness/statistics.ts';
import { type Lab, openLab, type Setting } from '../world/lab.ts';
import { costOf, serveUntil, syncOnce } from '../world/runs.ts';
import { distinctKeys } from '../world/test-data.ts';
import type { Usage } from '../world/usage.ts';
import { RUN_MODE_LABELS, RUN_MODES, type RunMode, size } from './cycles.ts';

const ROUNDS = 3;
/** The default of `engine.concurrency`, and the concurrency that is best for a first sync. */
const CONCURRENCIES = [16, 64] as const;
type Concurrency = (typeof CONCURRENCIES)[number];
const LATENCY_MS = 10;

/** A first sync in one run mode and with one concurrency. */
interface Run {
  readonly id: string;
  readonly way: RunMode;
  readonly concurrency: Concurrency;
  readonly shown: string;
}

const RUNS: readonly Run[] = CONCURRENCIES.flatMap((concurrency) =>
  RUN_MODES.map((mode) => ({
    id: concurrency === 16 ? mode : `${mode}-${concurrency}`,
    way: mode,
    concurrency,
    shown:
      concurrency === 16
        ? RUN_MODE_LABELS[mode]
        : `${RUN_MODE_LABELS[mode]}, \`concurrency: ${concurrency}\``,
  })),
);

interface Measured extends Usage {
  readonly ms: number;
  readonly calls: number;
  readonly connections: number;
}

export const firstSyncTime: Benchmark = {
  name: 'first-sync',
  title: 'First sync of 1,000 mappings of 5 AWS keys on a real API server, 10 ms for each store call',
  goal: '≤ 6 s, ≤ 1.5 × the same writes by a bare loop of server-side applies, CPU ≤ 6 s',
  async run(options): Promise<readonly Row[]> {
    await using lab = await openLab(options);
    const aws = await lab.fakeStore('aws');
    await aws.delay(LATENCY_MS);
    const count = size(options, 1_000);
    const scene = distinctKeys(count, []);
    await aws.put(scene.values);
    const floors: Record<Concurrency, Measured[]> = { 16: [], 64: [] };
    const loops: number[] = [];
    const ours = new Map<Run, Measured[]>(RUNS.map((run) => [run, []]));
    // Alternate between the run modes, so that a busy moment of the machine affects all of them. The first round only
    // warms up the servers.
    for (let round = 0; round <= (options.quick ? 1 : ROUNDS); round += 1) {
      for (const [run, results] of ours) {
        options.report(`round ${round}: ${run.shown}`);
        const { measured, floor, loopMs } = await measureFirstSync(lab, run, count);
        if (round === 0) continue;
        results.push(measured);
        floors[run.concurrency].push(floor);
        loops.push(loopMs);
      }
    }
    const of = (all: readonly Measured[], what: keyof Measured) =>
      median(all.map((measured) => measured[what]));
    return [...ours].flatMap(([{ id, concurrency, shown: label }, results]) => {
      const floor = floors[concurrency];
      const detail = { rounds: results.length, slowest: Math.max(...results.map(({ ms }) => ms / 1_000)) };
      return [
        row({
          id: `first/time/${id}`,
          title: `from process start, floor: ${concurrency} concurrent writes, ${label}`,
          unit: 's',
          value: of(results, 'ms') / 1_000,
          floor: of(floor, 'ms') / 1_000,
          goal: { value: 6, ratio: 1.5 },
          detail,
        }),
        row({
          id: `first/loop/${id}`,
          title: `from process start, floor: sequential writes, ${label}`,
          unit: 's',
          value: of(results, 'ms') / 1_000,
          floor: median(loops) / 1_000,
          goal: { ratio: 1.5 },
        }),
        row({
          id: `first/cpu/${id}`,
          title: `CPU, ${label}`,
          unit: 's CPU',
          value: of(results, 'cpuMs') / 1_000,
          floor: of(floor, 'cpuMs') / 1_000,
          goal: { value: 6 },
        }),
        row({
          id: `first/memory/${id}`,
          title: `highest resident memory, ${label}`,
          unit: 'MB',
          value: of(results, 'maxRssMb'),
          floor: of(floor, 'maxRssMb'),
        }),
        row({
          id: `first/calls/${id}`,
          title: `store calls, ${label}`,
          unit: 'calls',
          value: of(results, 'calls'),
          floor: Object.keys(scene.values).length / 20,
          goal: { value: options.quick ? 36 : 310 },
        }),
        row({
          id: `first/connections/${id}`,
          title: `store connections, ${label}`,
          unit: 'connections',
          value: of(results, 'connections'),
          floor: 1,
        }),
      ];
    });
  },
};

/**
 * Measures the program first. Then measures two floors with the same Secrets: one with concurrent writes, one with
 * sequential writes.
 */
export async function measureFirstSync(
  lab: Lab,
  { way: mode, concurrency }: Pick<Run, 'way' | 'concurrency'>,
  count: number,
): Promise<{ readonly measured: Measured; readonly floor: Measured; readonly loopMs: number }> {
  const aws = await lab.fakeStore('aws');
  const [namespace = '', other = '', third = ''] = await lab.namespaces(3);
  const setting: Setting = {
    engine: mode === 'redis' ? 'redis' : 'memory',
    store: 'aws',
    fakeStore: aws,
    // With one sweep per hour, sweeps hardly affect the measurement.
    refresh: '1h',
    concurrency,
    mappings: distinctKeys(count, [namespace]).mappings,
  };
  const workspace = await lab.workspace(setting);
  const { result, store } = await costOf(lab, aws, () =>
    mode === 'sync' ? syncOnce(workspace) : serveUntil(workspace, lab, { namespace, secrets: count }),
  );
  const floor = await applyAgain(lab, workspace, { from: namespace, to: other, concurrency });
  const { ms: loopMs } = await applyAgain(lab, workspace, { from: namespace, to: third, concurrency: 1 });
  const { ms, cpuMs, rssMb, maxRssMb } = result;
  return {
    measured: { ms, cpuMs, rssMb, maxRssMb, calls: totalOf(store), connections: store.connections },
    floor: { ...floor, calls: 0, connections: 0 },
    loopMs,
  };
}
