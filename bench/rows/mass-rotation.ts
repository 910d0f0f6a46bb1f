import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningFakeStore } from '../fake-stores/start.ts';
import { applyAgain } from '../floor/writes.ts';
import { BenchError } from '../harness/error.ts';
import { type Benchmark, type Row, row } from '../harness/row.ts';
import { median } from '../harness/statistics.ts';
import { type Lab, openLab, type Setting } from '../world/lab.ts';
import { type RunningProcess, startProgram } from '../world/program.ts';
import { TARGET_CHANGED } from '../world/runs.ts';
import { watchSecrets } from '../world/secret-watch.ts';
import { distinctKeys, valuesOf } from '../world/test-data.ts';
import { size } from './cycles.ts';

const MAPPINGS = 1_000;
const ROUNDS = 5;
const CONCURRENCY = 16;
const LATENCY_MS = 10;
/** Only one sweep must find the changes of a round, because the time starts with this sweep. */
const REFRESH_S = 30;
const POLL_MS = 20;

/** A service that is measured: its engine, its audit store, and the goals. */
interface Kind {
  readonly id: string;
  readonly label: string;
  readonly setting: Pick<Setting, 'engine' | 'audit'>;
  readonly goalS: number;
}

const KINDS: readonly Kind[] = [
  {
    id: 'memory',
    label: 'memory engine and SQLite',
    setting: { engine: 'memory', audit: 'sqlite' },
    goalS: 2.5,
  },
  {
    id: 'redis',
    label: 'Redis and PostgreSQL',
    setting: { engine: 'redis', audit: 'postgres' },
    goalS: 4,
  },
];

interface Round {
  readonly ms: number;
  readonly cpuMs: number;
  readonly floorMs: number;
  readonly floorCpuMs: number;
}

export const massRotation: Benchmark = {
  name: 'mass-rotation',
  title: 'All sources of 1,000 mappings of 5 AWS keys changed at once, until all Secrets follow',
  goal: '≤ 2.5 s with the memory engine and SQLite, ≤ 4 s with Redis and PostgreSQL',
  async run(options): Promise<readonly Row[]> {
    await using lab = await openLab(options);
    const rows: Row[] = [];
    for (const kind of KINDS) {
      const rounds = await measure(lab, kind, size(options, MAPPINGS), options.quick ? 1 : ROUNDS, (line) =>
        options.report(`${kind.label}: ${line}`),
      );
      rows.push(...rowsOf(kind, rounds));
    }
    return rows;
  },
};

async function measure(
  lab: Lab,
  { setting }: Kind,
  count: number,
  times: number,
  report: (line: string) => void,
): Promise<readonly Round[]> {
  const aws = await lab.fakeStore('aws');
  await aws.delay(LATENCY_MS);
  const [namespace = '', other = ''] = await lab.namespaces(2);
  const { mappings, values } = distinctKeys(count, [namespace]);
  const put = (round: number) => aws.put(valuesOf(Object.keys(values), round));
  await put(0);
  const refresh = `${REFRESH_S}s`;
  const common = { store: 'aws', fakeStore: aws, refresh, concurrency: CONCURRENCY } as const;
  const workspace = await lab.workspace({ ...common, ...setting, mappings });
  report('first sync');
  await using run = await startProgram(['serve'], workspace);
  await run.untilLogged(TARGET_CHANGED, count);
  const writeAgain = () =>
    applyAgain(lab, workspace, { from: namespace, to: other, concurrency: CONCURRENCY });
  // The first loop creates the Secrets of the floor, and later loops change them.
  await writeAgain();
  const rounds: Round[] = [];
  for (let round = 1; round <= times; round += 1) {
    const before = await run.usage();
    const ms = await rotate(lab, { namespace, run, aws, count }, () => put(round));
    const { cpuMs } = await run.usage();
    await assertValues(lab, namespace, round, count);
    const { ms: floorMs, cpuMs: floorCpuMs } = await writeAgain();
    rounds.push({ ms, cpuMs: cpuMs - before.cpuMs, floorMs, floorCpuMs });
    report(`round ${round}: ${(ms / 1_000).toFixed(2)} s, floor ${(floorMs / 1_000).toFixed(2)} s`);
  }
  await run.stop();
  return rounds;
}

interface Scene {
  readonly namespace: string;
  readonly run: RunningProcess;
  readonly aws: RunningFakeStore;
  readonly count: number;
}

/**
 * Changes all values. Returns the time from the first list of the next sweep to the last Secret, in milliseconds. The
 * time before this list depends only on the interval of the sweeps.
 */
async function rotate(
  lab: Lab,
  { namespace, run, aws, count }: Scene,
  put: () => Promise<void>,
): Promise<number> {
  await using witness = await watchSecrets(lab, namespace);
  const changed = new Set<string>();
  const all = Promise.withResolvers<void>();
  witness.onChange((name) => {
    changed.add(name);
    if (changed.size === count) all.resolve();
  });
  const lists = async () => (await aws.counts()).calls.ListSecrets ?? 0;
  await put();
  const before = await lists();
  const deadline = performance.now() + 3 * REFRESH_S * 1_000;
  while ((await lists()) === before) {
    if (performance.now() > deadline) throw new BenchError('no sweep has listed the keys');
    await Promise.race([sleep(POLL_MS), run.unexpectedEnd]);
  }
  const startedAt = performance.now();
  await Promise.race([all.promise, run.unexpectedEnd]);
  return performance.now() - startedAt;
}

interface SecretList {
  readonly items: readonly { readonly data: Readonly<Record<string, string>> }[];
}

/** Checks that every key of every Secret has the value of this round. */
async function assertValues(lab: Lab, namespace: string, round: number, count: number): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/secrets`;
  const { body } = await lab.request<SecretList>('GET', path);
  const values = body.items.flatMap(({ data }) =>
    Object.values(data).map((value) => Buffer.from(value, 'base64').toString('utf8')),
  );
  const isNew = values.every((value) => value.includes(`#${round} `));
  if (body.items.length !== count || !isNew)
    throw new BenchError(`round ${round}: a Secret has an old value`);
}

function rowsOf({ id, label, goalS }: Kind, rounds: readonly Round[]): readonly Row[] {
  const of = (what: keyof Round) => median(rounds.map((round) => round[what])) / 1_000;
  const slowest = Math.max(...rounds.map(({ ms }) => ms)) / 1_000;
  return [
    row({
      id: `mass/time/${id}`,
      title: `from the sweep to the last Secret, floor: ${CONCURRENCY} concurrent writes, ${label}`,
      unit: 's',
      value: of('ms'),
      floor: of('floorMs'),
      goal: { value: goalS },
      detail: { rounds: rounds.length, slowest },
    }),
    row({
      id: `mass/cpu/${id}`,
      title: `CPU, ${label}`,
      unit: 's CPU',
      value: of('cpuMs'),
      floor: of('floorCpuMs'),
    }),
  ];
}
