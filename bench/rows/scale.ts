import { totalOf } from '../fake-stores/start.ts';
import { BenchError } from '../harness/error.ts';
import { type Benchmark, type BenchOptions, type Row, row } from '../harness/row.ts';
import { median } from '../harness/statistics.ts';
import { type FleetWorkspace, openFleet } from '../world/fleet.ts';
import { openLab } from '../world/lab.ts';
import { type RunningProcess, startNode, startProgram } from '../world/program.ts';
import { lastSweep, TARGET_CHANGED, writesIn } from '../world/runs.ts';
import { isReady, waitFor, waitUntil } from '../world/wait.ts';

const LARGEST = 10_000;
const SIZES = [100, 1_000, LARGEST] as const;
const NAMESPACES = 5;
const REFRESH_S = 25;
/** The number of measured cycles. At the largest size, memory growth becomes visible only after more cycles. */
const CYCLES = { some: 4, most: 10 };
const RESTARTS = 3;
/** The number of cycles before the measurement. The first sweeps still find new targets and values. */
const SETTLE_CYCLES = 1;

interface Measured {
  readonly targets: number;
  readonly keys: number;
  readonly firstSync: number;
  readonly firstCpu: number;
  readonly firstCalls: number;
  readonly cycleCpu: number;
  readonly cycleCalls: number;
  readonly writes: number;
  /** The median of the restarts. */
  readonly ready: number;
  /**
   * The peaks of resident memory in MB. The first peak occurred during the first sync. Each other peak occurred during
   * one cycle.
   */
  readonly resident: readonly number[];
}

export const scale: Benchmark = {
  name: 'scale',
  title: 'Growth from 100 to 10,000 targets: mappings of 5 AWS and Vault keys, each in 5 namespaces',
  goal: 'nothing grows faster than the number of targets; at 10,000: RSS < 256 MiB and flat, a cycle < 3 s CPU, ready < 10 s',
  async run(options): Promise<readonly Row[]> {
    const sizes = options.quick ? SIZES.slice(0, 2) : SIZES;
    const idle = await idleNode();
    const all: Measured[] = [];
    for (const targets of sizes) all.push(await measure(targets, options));
    return [
      ...all.flatMap((measured, n) => growthRows(measured, all[n - 1])),
      ...largestRows(all.at(-1), idle, options),
    ];
  },
};

/** Returns the memory of an idle Node process, in MB. */
async function idleNode(): Promise<number> {
  await using run = await startNode(['--eval', 'setInterval(() => undefined, 1_000)'], {
    folder: '/',
    env: {},
  });
  await waitFor(500, run);
  return (await run.usage()).rssMb;
}

async function measure(targets: number, options: BenchOptions): Promise<Measured> {
  await using lab = await openLab(options);
  const namespaces = await lab.namespaces(NAMESPACES);
  const fleet = { mappings: targets / NAMESPACES, namespaces, refresh: `${REFRESH_S}s` };
  const workspace = await openFleet(lab, fleet);
  const report = (line: string) => options.report(`${targets} targets: ${line}`);
  const counts = async (): Promise<number> =>
    totalOf(await workspace.stores.aws.counts()) + totalOf(await workspace.stores.vault.counts());

  report('first sync');
  await using run = await startProgram(['serve'], workspace);
  await waitUntil('the start', run, () => isReady(workspace));
  await run.untilLogged(TARGET_CHANGED, targets);
  const firstSync = (performance.now() - run.startedAt) / 1_000;
  const first = await run.usage();
  const firstCalls = await counts();
  const resident = [first.maxRssMb];
  await waitFor(SETTLE_CYCLES * REFRESH_S * 1_000, run);

  const cycles = options.quick ? 2 : targets < LARGEST ? CYCLES.some : CYCLES.most;
  const before = await counts();
  const began = { ...(await run.usage()), at: performance.now() };
  const { requests } = await lab.requestsOfSecrets(async () => {
    for (let cycle = 1; cycle <= cycles; cycle += 1) {
      const mostMb = await peakWithin(REFRESH_S * 1_000, run);
      resident.push(mostMb);
      report(`cycle ${cycle}: ${Math.round(mostMb)} MB`);
    }
  });
  const ended = await run.usage();
  const done = (performance.now() - began.at) / 1_000 / REFRESH_S;
  const cycleCalls = ((await counts()) - before) / done;
  await run.stop();
  await assertSwept(workspace, cycles);

  report('start with all targets up to date');
  const readyTimes: number[] = [];
  while (readyTimes.length < RESTARTS) readyTimes.push(await restart(workspace));
  return {
    targets,
    keys: workspace.keys,
    firstSync,
    firstCpu: first.cpuMs / 1_000,
    firstCalls,
    cycleCpu: (ended.cpuMs - began.cpuMs) / 1_000 / done,
    cycleCalls,
    writes: writesIn(requests),
    ready: median(readyTimes),
    resident,
  };
}

/** Returns the peak of resident memory. A single sample is meaningless because of garbage collection. */
async function peakWithin(ms: number, run: RunningProcess): Promise<number> {
  const until = performance.now() + ms;
  let most = 0;
  while (performance.now() < until) {
    await waitFor(Math.min(1_000, until - performance.now()), run);
    most = Math.max(most, (await run.usage()).rssMb);
  }
  return most;
}

async function restart(workspace: FleetWorkspace): Promise<number> {
  await using run = await startProgram(['serve'], workspace);
  await waitUntil('the start', run, () => isReady(workspace), { everyMs: 10 });
  const ready = (performance.now() - run.startedAt) / 1_000;
  await run.stop();
  return ready;
}

/**
 * Checks in the audit log that the sweeps checked every key in every cycle. If a cycle was missing, the measured cost
 * of a cycle would be too low.
 */
async function assertSwept(workspace: FleetWorkspace, cycles: number): Promise<void> {
  const last = await lastSweep(workspace);
  if ((last?.counts?.keys ?? 0) < workspace.keys * cycles)
    throw new BenchError('the sweeps did not check every key in every cycle');
}

/**
 * Returns rows that compare the growth of a value with linear growth. The floor of a row is the value at the next
 * smaller size, multiplied by the growth of the number of targets.
 */
function growthRows(measured: Measured, before: Measured | undefined): readonly Row[] {
  const factor = before === undefined ? undefined : measured.targets / before.targets;
  const grown = (id: string, title: string, unit: Row['unit'], of: (one: Measured) => number): Row =>
    row({
      id: `scale/${id}/${measured.targets}`,
      title: `${title}, ${measured.targets.toLocaleString('en-GB')} targets`,
      unit,
      value: of(measured),
      ...(before === undefined || factor === undefined
        ? {}
        : { floor: of(before) * factor, goal: { ratio: 1.25 } }),
      detail: { targets: measured.targets, keys: measured.keys },
    });
  return [
    grown('first', 'first sync', 's', ({ firstSync }) => firstSync),
    grown('first-cpu', 'CPU of the first sync', 's CPU', ({ firstCpu }) => firstCpu),
    // The first sync of the largest size takes about as long as `refresh`, so cycles run meanwhile.
    ...(measured.targets === LARGEST
      ? []
      : [grown('first-calls', 'calls of both stores, first sync', 'calls', ({ firstCalls }) => firstCalls)]),
    grown('pass-cpu', 'CPU of a cycle without changes', 's CPU', ({ cycleCpu }) => cycleCpu),
    grown(
      'pass-calls',
      'calls of both stores, a cycle without changes',
      'calls',
      ({ cycleCalls }) => cycleCalls,
    ),
    grown(
      'memory',
      'peak resident set in the last cycle',
      'MB',
      ({ resident }) => resident.at(-1) ?? Number.NaN,
    ),
    grown('ready', 'from start until ready, all targets up to date', 's', ({ ready }) => ready),
  ];
}

function largestRows(measured: Measured | undefined, idle: number, { quick }: BenchOptions): readonly Row[] {
  if (measured === undefined) return [];
  const { resident, cycleCpu, ready, writes } = measured;
  const cycles = resident.slice(1);
  const middle = Math.ceil(cycles.length / 2);
  const [early, late] = [Math.max(...cycles.slice(0, middle)), Math.max(...cycles.slice(middle))];
  const size = `${measured.targets.toLocaleString('en-GB')} targets`;
  return [
    row({
      id: 'memory/steady',
      title: `peak in ${cycles.length} cycles after a first sync, ${size}; floor: idle Node`,
      unit: 'MB',
      value: Math.max(...cycles),
      floor: idle,
      goal: { value: 256 },
      detail: Object.fromEntries(resident.map((mb, cycle) => [`pass${cycle}`, Math.round(mb)])),
    }),
    row({
      id: 'memory/peak',
      title: `peak in the first sync, ${size}`,
      unit: 'MB',
      value: resident[0] ?? Number.NaN,
      floor: idle,
    }),
    row({
      id: 'memory/growth',
      title: `peak in the second half of the cycles; floor: in the first half, ${size}`,
      unit: 'MB',
      value: late,
      floor: early,
      goal: { value: early + 8 },
    }),
    row({
      id: 'cpu/pass',
      title: `a cycle without changes, ${size}`,
      unit: 's CPU',
      value: cycleCpu,
      ...(quick ? {} : { goal: { value: 3 } }),
    }),
    row({
      id: 'cpu/writes',
      title: `Secret writes meanwhile, ${size}`,
      unit: 'requests',
      value: writes,
      floor: 0,
      goal: { value: 0 },
    }),
    row({
      id: 'start/ready',
      title: `\`serve\` from start until ready, ${size} up to date`,
      unit: 's',
      value: ready,
      goal: { value: 10 },
    }),
  ];
}
