import { type Benchmark, type BenchOptions, type Row, row } from '../harness/row.ts';
import { median } from '../harness/statistics.ts';
import { type FleetWorkspace, openFleet } from '../world/fleet.ts';
import { openLab } from '../world/lab.ts';
import { type RunningProcess, startProgram } from '../world/program.ts';
import { TARGET_CHANGED } from '../world/runs.ts';
import { watchSecrets } from '../world/secret-watch.ts';
import { isReady, waitFor, waitUntil } from '../world/wait.ts';

const SIZES = [1_000, 10_000] as const;
const NAMESPACES = 5;
const PASS_S = 45;
const QUICK_PASS_S = 15;
const TRIES = 20;
/** An idle service uses some CPU too. */
const IDLE_S = 10;
const LAYOUTS = { file: undefined, files: 50 } as const;

interface Measured {
  readonly size: number;
  readonly layout: keyof typeof LAYOUTS;
  /** The peaks of resident memory in MB. */
  readonly firstMb: number;
  readonly passMb: number;
  readonly reloadMb: number;
  /** From the new file to the Secret, in seconds. */
  readonly seconds: readonly number[];
  /** CPU for each added mapping, in seconds. */
  readonly cpu: number;
}

export const distinctKeys: Benchmark = {
  name: 'distinct-keys',
  title: 'Mappings of 5 keys of their own: memory, and the cost of one more mapping',
  goal: 'at 10,000: peak < 256 MiB in first sync, pass and reload; a new mapping p50 <= 0.1 s and <= 20 ms CPU',
  async run(options): Promise<readonly Row[]> {
    const rows: Row[] = [];
    for (const size of options.quick ? SIZES.slice(0, 1) : SIZES)
      for (const layout of ['file', 'files'] as const)
        rows.push(...rowsOf(await measure(size, layout, options)));
    return rows;
  },
};

async function measure(size: number, layout: keyof typeof LAYOUTS, options: BenchOptions): Promise<Measured> {
  await using lab = await openLab(options);
  const namespaces = await lab.namespaces(NAMESPACES);
  const mappingsPerFile = LAYOUTS[layout];
  const passS = options.quick ? QUICK_PASS_S : PASS_S;
  const workspace = await openFleet(lab, {
    ...{ mappings: size, namespaces, refresh: `${passS}s`, isDistinct: true },
    ...(mappingsPerFile === undefined ? {} : { mappingsPerFile }),
  });
  const report = (line: string) => options.report(`${size} mappings, ${layout}: ${line}`);
  report('first sync');
  const { firstMb, passMb } = await firstSyncAndPass(workspace, size, passS);
  report(`first sync ${Math.round(firstMb)} MB, pass ${Math.round(passMb)} MB`);
  await workspace.configure('1h');
  await using run = await startProgram(['serve'], workspace);
  await waitUntil('the start', run, () => isReady(workspace));
  const watches = await Promise.all(
    namespaces.map(async (name) => [name, await watchSecrets(lab, name)] as const),
  );
  await using stack = new AsyncDisposableStack();
  for (const [, watch] of watches) stack.use(watch);
  const addOne = async (): Promise<number> => {
    const seen = Promise.withResolvers<number>();
    let wanted = '';
    const stops = watches.map(([, watch]) =>
      watch.onChange((secret) => {
        if (secret === wanted) seen.resolve(performance.now());
      }),
    );
    const added = await workspace.addMapping((secret) => {
      wanted = secret;
    });
    const seconds = ((await Promise.race([seen.promise, run.unexpectedEnd])) - added) / 1_000;
    for (const stop of stops) stop();
    return seconds;
  };
  // Discard the first attempts, which include one-time initialization.
  for (let n = 0; n < 3; n += 1) await addOne();
  const idle = await cpuDuring(run, () => waitFor(IDLE_S * 1_000, run));
  await run.resetPeak();
  const seconds: number[] = [];
  const startedAt = performance.now();
  const used = await cpuDuring(run, async () => {
    for (let n = 0; n < TRIES; n += 1) seconds.push(await addOne());
  });
  const idleShare = (idle / IDLE_S) * ((performance.now() - startedAt) / 1_000);
  const reloadMb = (await run.usage()).maxRssMb;
  await run.stop();
  const cpu = Math.max(0, used - idleShare) / TRIES;
  report(
    `${Math.round(reloadMb)} MB, p50 ${median(seconds).toFixed(3)} s, ${(cpu * 1_000).toFixed(0)} ms of CPU`,
  );
  return { size, layout, firstMb, passMb, reloadMb, seconds, cpu };
}

async function firstSyncAndPass(
  workspace: FleetWorkspace,
  size: number,
  passS: number,
): Promise<Pick<Measured, 'firstMb' | 'passMb'>> {
  await using run = await startProgram(['serve'], workspace);
  await waitUntil('the start', run, () => isReady(workspace));
  await run.untilLogged(TARGET_CHANGED, size);
  const firstMb = (await run.usage()).maxRssMb;
  await run.resetPeak();
  // The passes of the shards are spread over this time.
  await waitFor(passS * 1_000, run);
  const passMb = (await run.usage()).maxRssMb;
  await run.stop();
  return { firstMb, passMb };
}

/** Returns the CPU that the service uses during the work, in seconds. */
async function cpuDuring(run: RunningProcess, work: () => Promise<void>): Promise<number> {
  const before = await run.usage();
  await work();
  return ((await run.usage()).cpuMs - before.cpuMs) / 1_000;
}

function rowsOf({ size, layout, firstMb, passMb, reloadMb, seconds, cpu }: Measured): readonly Row[] {
  const where = `${size.toLocaleString('en-GB')} mappings, ${layout === 'file' ? 'one file' : 'files of 50'}`;
  const memory = (id: string, title: string, value: number) =>
    row({
      id: `distinct/${id}/${layout}/${size}`,
      title: `${title}, ${where}`,
      unit: 'MB',
      value,
      goal: { value: 256 },
    });
  return [
    memory('first', 'peak in the first sync', firstMb),
    memory('pass', 'peak in a pass', passMb),
    memory('reload', 'peak in a reload', reloadMb),
    row({
      id: `distinct/added/${layout}/${size}`,
      title: `a mapping added, p50, ${where}`,
      unit: 's',
      value: median(seconds),
      goal: { value: 0.1 },
      detail: { most: Math.max(...seconds) },
    }),
    row({
      id: `distinct/added-cpu/${layout}/${size}`,
      title: `CPU of an added mapping, ${where}`,
      unit: 's CPU',
      value: cpu,
      goal: { value: 0.02 },
    }),
  ];
}
