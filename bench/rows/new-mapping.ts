import { type Benchmark, type Row, row } from '../harness/row.ts';
import { median } from '../harness/statistics.ts';
import { ENGINES, type Engine, openLab } from '../world/lab.ts';
import { openLoadedService } from '../world/loaded-service.ts';
import { RUN_MODE_LABELS } from './cycles.ts';
import { latencyOf, showLatency } from './latency.ts';

const MAPPINGS = 1_000;
const TRIES = 100;
const QUICK_TRIES = 20;

export const newMapping: Benchmark = {
  name: 'new-mapping',
  title: 'From a configuration with a new mapping to its Secret, while 1,000 changed targets wait',
  goal: 'p99 < 1 s over 100 attempts',
  async run(options): Promise<readonly Row[]> {
    await using lab = await openLab(options);
    const rows: Row[] = [];
    for (const engine of ENGINES) {
      options.report(`${RUN_MODE_LABELS[engine]}: start`);
      await using service = await openLoadedService(lab, { engine, mappings: MAPPINGS });
      // Discard the first attempt, which includes one-time initialization.
      await service.addMapping();
      const tries = options.quick ? QUICK_TRIES : TRIES;
      const attempts = {
        ours: [] as number[],
        bare: [] as number[],
        before: [] as number[],
        after: [] as number[],
        discarded: [] as number[],
      };
      while (attempts.ours.length < tries) {
        const rush = await service.beginRush();
        // Writing all targets takes some seconds. While at least half of the targets wait, there is time for another
        // attempt.
        do {
          const before = rush.remaining();
          const ms = await service.addMapping();
          const after = rush.remaining();
          // If the values changed while a sweep listed them, this sweep found only some of them. The other targets wait
          // for the next sweep, so the service is idle.
          if (after === before) {
            attempts.discarded.push(ms);
            break;
          }
          attempts.before.push(before);
          attempts.ours.push(ms);
          attempts.after.push(after);
        } while (rush.remaining() > MAPPINGS / 2 && attempts.ours.length < tries);
        await rush.done;
        attempts.bare.push(await service.bare());
        options.report(
          `${RUN_MODE_LABELS[engine]}: ${attempts.ours.length} of ${tries}: ${showLatency(latencyOf(attempts.ours))}`,
        );
      }
      rows.push(...rowsOf(engine, attempts));
    }
    return rows;
  },
};

interface Attempts {
  readonly ours: readonly number[];
  readonly bare: readonly number[];
  /**
   * The number of waiting targets: `before` when the mapping was added, `after` when the Secret of the mapping existed.
   */
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** The attempts during which no target was written. */
  readonly discarded: readonly number[];
}

function rowsOf(engine: Engine, { ours, bare, before, after, discarded }: Attempts): readonly Row[] {
  const { count, p50, p95, p99, max } = latencyOf(ours);
  return [
    row({
      id: `new/p99/${engine}`,
      title: `p99, ${RUN_MODE_LABELS[engine]}`,
      unit: 's',
      value: p99,
      goal: { value: 1 },
      detail: {
        ...{ count, p50, p95, max, waiting: median(before), waitingAtItsEnd: median(after) },
        fewestWaiting: Math.min(...before),
        ...{ discarded: discarded.length, slowestDiscarded: Math.max(0, ...discarded) / 1_000 },
        ...{ bareP50: latencyOf(bare).p50, bareP99: latencyOf(bare).p99 },
      },
    }),
    row({
      id: `new/median/${engine}`,
      title: `median, ${RUN_MODE_LABELS[engine]}`,
      unit: 's',
      value: p50,
      floor: median(bare) / 1_000,
    }),
  ];
}
