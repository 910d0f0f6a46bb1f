import { totalOf } from '../fake-stores/start.ts';
import { applyAgain } from '../floor/writes.ts';
import { type Benchmark, type Row, row } from '../harness/row.ts';
import { median } from '../harness/statistics.ts';
import { startBusyProcesses } from '../world/busy-processes.ts';
import { ENGINES, type Engine, type Lab, openLab } from '../world/lab.ts';
import { costOf, serveUntil } from '../world/runs.ts';
import { distinctKeys } from '../world/test-data.ts';
import { RUN_MODE_LABELS, size } from './cycles.ts';

const MAPPINGS = 300;
const KEYS_PER_CALL = 20;
const BUSY = 33;
const ROUNDS = 2;
const CONCURRENCY = 16;
const LATENCY_MS = 10;

interface Round {
  readonly s: number;
  readonly floorS: number;
  readonly calls: number;
}

export const firstSyncContended: Benchmark = {
  name: 'first-sync-contended',
  title: `First sync of 300 mappings of 5 AWS keys while ${BUSY} busy processes use the two cores`,
  goal: 'store calls ≤ 1.2 × the floor',
  async run(options): Promise<readonly Row[]> {
    await using lab = await openLab(options);
    const count = size(options, MAPPINGS);
    const rows: Row[] = [];
    for (const engine of ENGINES) {
      const rounds: Round[] = [];
      while (rounds.length < (options.quick ? 1 : ROUNDS)) {
        const round = await measure(lab, engine, count);
        rounds.push(round);
        options.report(
          `${RUN_MODE_LABELS[engine]}: ${round.s.toFixed(1)} s, floor ${round.floorS.toFixed(1)} s`,
        );
      }
      rows.push(...rowsOf(engine, rounds, count));
    }
    return rows;
  },
};

async function measure(lab: Lab, engine: Engine, count: number): Promise<Round> {
  const aws = await lab.fakeStore('aws');
  await aws.delay(LATENCY_MS);
  const [namespace = '', other = ''] = await lab.namespaces(2);
  const { mappings, values } = distinctKeys(count, [namespace]);
  await aws.put(values);
  const common = { store: 'aws', fakeStore: aws, refresh: '1h', concurrency: CONCURRENCY } as const;
  const workspace = await lab.workspace({ ...common, engine, mappings });
  await using _busy = startBusyProcesses(BUSY);
  const { result, store } = await costOf(lab, aws, () =>
    serveUntil(workspace, lab, { namespace, secrets: count }),
  );
  const floor = await applyAgain(lab, workspace, { from: namespace, to: other, concurrency: CONCURRENCY });
  return { s: result.ms / 1_000, floorS: floor.ms / 1_000, calls: totalOf(store) };
}

function rowsOf(engine: Engine, rounds: readonly Round[], count: number): readonly Row[] {
  const of = (what: keyof Round) => median(rounds.map((round) => round[what]));
  return [
    row({
      id: `contended/time/${engine}`,
      title: `from process start, floor: ${CONCURRENCY} concurrent writes, ${RUN_MODE_LABELS[engine]}`,
      unit: 's',
      value: of('s'),
      floor: of('floorS'),
      detail: { rounds: rounds.length, slowest: Math.max(...rounds.map(({ s }) => s)) },
    }),
    row({
      id: `contended/calls/${engine}`,
      title: `store calls, ${RUN_MODE_LABELS[engine]}`,
      unit: 'calls',
      value: of('calls'),
      floor: Math.ceil((count * 5) / KEYS_PER_CALL),
      goal: { ratio: 1.2 },
    }),
  ];
}
