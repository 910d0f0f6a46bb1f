import { type Benchmark, type Row, row } from '../harness/row.ts';
import { median } from '../harness/statistics.ts';
import { ENGINES, openLab } from '../world/lab.ts';
import { distinctKeys } from '../world/test-data.ts';
import { RUN_MODE_LABELS } from './cycles.ts';
import { measureFirstSync } from './first-sync.ts';

const MAPPINGS = 40;
const ROUNDS = 3;
const CONCURRENCY = 16;
const LATENCY_MS = 10;
const GOAL_MB = 110;

export const firstSyncSmall: Benchmark = {
  name: 'first-sync-small',
  title: `First sync of ${MAPPINGS} mappings of 5 AWS keys: memory`,
  goal: `highest resident memory ≤ ${GOAL_MB} MiB`,
  async run(options): Promise<readonly Row[]> {
    await using lab = await openLab(options);
    const aws = await lab.fakeStore('aws');
    await aws.delay(LATENCY_MS);
    await aws.put(distinctKeys(MAPPINGS, []).values);
    const rows: Row[] = [];
    for (const engine of ENGINES) {
      const peaks: number[] = [];
      const floors: number[] = [];
      while (peaks.length < (options.quick ? 1 : ROUNDS)) {
        options.report(`${RUN_MODE_LABELS[engine]}, round ${peaks.length + 1}`);
        const { measured, floor } = await measureFirstSync(
          lab,
          { way: engine, concurrency: CONCURRENCY },
          MAPPINGS,
        );
        peaks.push(measured.maxRssMb);
        floors.push(floor.maxRssMb);
      }
      rows.push(
        row({
          id: `small/memory/${engine}`,
          title: `highest resident memory, ${RUN_MODE_LABELS[engine]}`,
          unit: 'MB',
          value: median(peaks),
          floor: median(floors),
          goal: { value: GOAL_MB },
        }),
      );
    }
    return rows;
  },
};
