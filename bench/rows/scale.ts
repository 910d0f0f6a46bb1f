import { totalOf } from '../doubles/start.ts';
import { BenchError } from '../harness/error.ts';
import { type Benchmark, type BenchOptions, type Row, row } from '../harness/row.ts';
import { type FleetPlace, openFleet } from '../world/fleet.ts';
import { openLab } from '../world/lab.ts';
import { type Running, startNode, startProgram } from '../world/program.ts';
import { lastSweep, TARGET_CHANGED, writesIn } from '../world/runs.ts';
import { isReady, waitFor, waitUntil } from '../world/wait.ts';

const LARGEST = 10_000;
const SIZES = [100, 1_000, LARGEST] as const;
const NAMESPACES = 5;
const REFRESH_S = 25;
/** The larger the size, the longer what it holds takes to show. */
const PASSES = { some: 2, most: 10 };
/** Sweeps of the first minutes find targets that are still made, and values that were just put. */
const SETTLE_PASSES = 1;

/** Requests of both stores, and lists of AWS among them, which only passes ask for. */
interface Calls {
  readonly all: number;
  readonly lists: number;
}

interface Measured {
  readonly targets: number;
  readonly keys: number;
  readonly firstSync: number;
  readonly firstCpu: number;
  readonly firstCalls: Calls;
  readonly passCpu: number;
  readonly passCalls: Calls;
  readonly writes: number;
  readonly ready: number;
  /** The most: up to the end of the first sync, and within each pass. */
  readonly resident: readonly number[];
}

export const scale: Benchmark = {
  name: 'scale',
  title: 'Growth from 100 to 10,000 targets: mappings of 5 keys, of AWS and Vault, each in 5 namespaces',
  goal: 'nothing grows faster than the number of targets; at 10,000: RSS < 256 MiB and flat, a pass < 3 s CPU, ready < 10 s',
  async run(options): Promise<readonly Row[]> {
    const sizes = options.quick ? SIZES.slice(0, 2) : SIZES;
    const idle = await idleNode();
    const all: Measured[] = [];
    for (const targets of sizes) all.push(await measure(targets, options));
    return [...all.flatMap((it, n) => growthRows(it, all[n - 1])), ...largestRows(all.at(-1), idle, options)];
  },
};

/** The least that a program in Node takes: one that does nothing. */
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
  const place = await openFleet(lab, fleet);
  const report = (line: string) => options.report(`${targets} targets: ${line}`);
  const counts = async (): Promise<Calls> => {
    const [aws, vault] = [await place.stores.aws.counts(), await place.stores.vault.counts()];
    return { all: totalOf(aws) + totalOf(vault), lists: aws.calls.ListSecrets ?? 0 };
  };

  report('first sync');
  await using run = await startProgram(['serve'], place);
  await waitUntil('the start', run, () => isReady(place));
  await run.logged(TARGET_CHANGED, targets);
  const firstSync = (performance.now() - run.startedAt) / 1_000;
  const first = await run.usage();
  const firstCalls = await counts();
  const resident = [first.maxRssMb];
  await waitFor(SETTLE_PASSES * REFRESH_S * 1_000, run);

  const passes = options.quick ? 2 : targets < LARGEST ? PASSES.some : PASSES.most;
  const before = await counts();
  const began = { ...(await run.usage()), at: performance.now() };
  const { requests } = await lab.requestsOfSecrets(async () => {
    for (let pass = 1; pass <= passes; pass += 1) {
      const mostMb = await mostWithin(REFRESH_S * 1_000, run);
      resident.push(mostMb);
      report(`pass ${pass}: ${Math.round(mostMb)} MB`);
    }
  });
  const ended = await run.usage();
  const done = (performance.now() - began.at) / 1_000 / REFRESH_S;
  const after = await counts();
  const passCalls = { all: (after.all - before.all) / done, lists: (after.lists - before.lists) / done };
  await run.stop();
  await assertSwept(place, passes);

  report('start with everything in place');
  const ready = await restart(place);
  return {
    targets,
    keys: place.keys,
    firstSync,
    firstCpu: first.cpuMs / 1_000,
    firstCalls,
    passCpu: (ended.cpuMs - began.cpuMs) / 1_000 / done,
    passCalls,
    writes: writesIn(requests),
    ready,
    resident,
  };
}

/** What is collected only now and then makes a moment say little. */
async function mostWithin(ms: number, run: Running): Promise<number> {
  const until = performance.now() + ms;
  let most = 0;
  while (performance.now() < until) {
    await waitFor(Math.min(1_000, until - performance.now()), run);
    most = Math.max(most, (await run.usage()).rssMb);
  }
  return most;
}

async function restart(place: FleetPlace): Promise<number> {
  await using run = await startProgram(['serve'], place);
  await waitUntil('the start', run, () => isReady(place), { everyMs: 10 });
  const ready = (performance.now() - run.startedAt) / 1_000;
  await run.stop();
  return ready;
}

/** By the service's own record, so that passes which did not happen are not taken for cheap ones. */
async function assertSwept(place: FleetPlace, passes: number): Promise<void> {
  const last = await lastSweep(place);
  if ((last?.counts?.keys ?? 0) < place.keys * passes)
    throw new BenchError('the sweeps have not looked at every key in every pass');
}

/** A first sync that takes longer than `refresh` has passes in it, which are no part of what it needs itself. */
function ownCalls({ firstSync, firstCalls, passCalls }: Measured): number {
  // So few keys that they are read in a batch are there long before a pass is due.
  const listed = passCalls.lists === 0 ? 0 : firstCalls.lists / passCalls.lists;
  // Lists come at the beginning of a pass, and of the last one not more was made than there was time for.
  const passes = Math.min(listed, firstSync / REFRESH_S);
  return firstCalls.all - passes * passCalls.all;
}

/** The floor of a size is what the size before it took, times as much as it is larger: growth by the number alone. */
function growthRows(it: Measured, before: Measured | undefined): readonly Row[] {
  const factor = before === undefined ? undefined : it.targets / before.targets;
  const grown = (id: string, title: string, unit: Row['unit'], of: (one: Measured) => number): Row =>
    row({
      id: `scale/${id}/${it.targets}`,
      title: `${title}, ${it.targets.toLocaleString('en-GB')} targets`,
      unit,
      value: of(it),
      ...(before === undefined || factor === undefined
        ? {}
        : { floor: of(before) * factor, goal: { ratio: 1.25 } }),
      detail: { targets: it.targets, keys: it.keys },
    });
  return [
    grown('first', 'first sync', 's', ({ firstSync }) => firstSync),
    grown('first-cpu', 'CPU of the first sync', 's CPU', ({ firstCpu }) => firstCpu),
    grown('first-calls', 'calls of both stores, first sync, but the passes due meanwhile', 'calls', ownCalls),
    grown('pass-cpu', 'CPU of a pass with no change', 's CPU', ({ passCpu }) => passCpu),
    grown(
      'pass-calls',
      'calls of both stores, a pass with no change',
      'calls',
      ({ passCalls }) => passCalls.all,
    ),
    grown(
      'memory',
      'resident set, the most in the last pass',
      'MB',
      ({ resident }) => resident.at(-1) ?? Number.NaN,
    ),
    grown('ready', 'from start to ready, everything in place', 's', ({ ready }) => ready),
  ];
}

function largestRows(it: Measured | undefined, idle: number, { quick }: BenchOptions): readonly Row[] {
  if (it === undefined) return [];
  const { resident, passCpu, ready, writes } = it;
  const passes = resident.slice(1);
  const middle = Math.ceil(passes.length / 2);
  const [early, late] = [Math.max(...passes.slice(0, middle)), Math.max(...passes.slice(middle))];
  const size = `${it.targets.toLocaleString('en-GB')} targets`;
  return [
    row({
      id: 'memory/steady',
      title: `the most in ${passes.length} passes after a first sync, ${size}; floor: Node with nothing to do`,
      unit: 'MB',
      value: Math.max(...passes),
      floor: idle,
      goal: { value: 256 },
      detail: Object.fromEntries(resident.map((mb, pass) => [`pass${pass}`, Math.round(mb)])),
    }),
    row({
      id: 'memory/peak',
      title: `the most in the first sync itself, ${size}`,
      unit: 'MB',
      value: resident[0] ?? Number.NaN,
      floor: idle,
    }),
    row({
      id: 'memory/growth',
      title: `growth: the most in the last half of the passes; floor: in the first half, ${size}`,
      unit: 'MB',
      value: late,
      floor: early,
      goal: { value: early + 8 },
    }),
    row({
      id: 'cpu/pass',
      title: `a pass with no change, ${size}`,
      unit: 's CPU',
      value: passCpu,
      ...(quick ? {} : { goal: { value: 3 } }),
    }),
    row({
      id: 'cpu/writes',
      title: `writes of Secrets meanwhile, ${size}`,
      unit: 'requests',
      value: writes,
      floor: 0,
      goal: { value: 0 },
    }),
    row({
      id: 'start/ready',
      title: `\`serve\` from start to ready, ${size} in place`,
      unit: 's',
      value: ready,
      goal: { value: 10 },
    }),
  ];
}
