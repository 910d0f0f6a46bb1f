import { type Benchmark, type Row, row } from '../harness/row.ts';
import { median } from '../harness/statistics.ts';
import { openBusy } from '../world/busy.ts';
import { type Engine, openLab } from '../world/lab.ts';
import { latencyOf, showLatency } from './latency.ts';
import { SHOWN } from './passes.ts';

const MAPPINGS = 1_000;
const TRIES = 100;
const QUICK_TRIES = 20;
const ENGINES = ['memory', 'redis'] as const satisfies readonly Engine[];

export const newMapping: Benchmark = {
  name: 'new-mapping',
  title: 'From the configuration with one more mapping to its Secret, while 1,000 changed targets wait',
  goal: 'p99 < 1 s over 100 tries',
  async run(options): Promise<readonly Row[]> {
    await using lab = await openLab(options);
    const rows: Row[] = [];
    for (const engine of ENGINES) {
      options.report(`${SHOWN[engine]}: start`);
      await using it = await openBusy(lab, { engine, mappings: MAPPINGS });
      // The first one of all finds every piece of code cold.
      await it.add();
      const tries = options.quick ? QUICK_TRIES : TRIES;
      const its = {
        ours: [] as number[],
        bare: [] as number[],
        before: [] as number[],
        after: [] as number[],
      };
      while (its.ours.length < tries) {
        const rush = await it.begin();
        // A rush takes some seconds, and as long as half of it waits there is time for another one.
        do {
          its.before.push(rush.left());
          its.ours.push(await it.add());
          its.after.push(rush.left());
        } while (rush.left() > MAPPINGS / 2 && its.ours.length < tries);
        await rush.over;
        its.bare.push(await it.bare());
        options.report(
          `${SHOWN[engine]}: ${its.ours.length} of ${tries}: ${showLatency(latencyOf(its.ours))}`,
        );
      }
      rows.push(...rowsOf(engine, its));
    }
    return rows;
  },
};

interface Tries {
  readonly ours: readonly number[];
  readonly bare: readonly number[];
  /** Targets that waited when the mapping was added, and when its Secret was there. */
  readonly before: readonly number[];
  readonly after: readonly number[];
}

function rowsOf(engine: Engine, { ours, bare, before, after }: Tries): readonly Row[] {
  const { count, p50, p95, p99, max } = latencyOf(ours);
  return [
    row({
      id: `new/p99/${engine}`,
      title: `p99, ${SHOWN[engine]}`,
      unit: 's',
      value: p99,
      goal: { value: 1 },
      detail: {
        ...{ count, p50, p95, max, waiting: median(before), waitingAtItsEnd: median(after) },
        fewestWaiting: Math.min(...before),
        ...{ bareP50: latencyOf(bare).p50, bareP99: latencyOf(bare).p99 },
      },
    }),
    row({
      id: `new/median/${engine}`,
      title: `median, ${SHOWN[engine]}`,
      unit: 's',
      value: p50,
      floor: median(bare) / 1_000,
    }),
  ];
}
