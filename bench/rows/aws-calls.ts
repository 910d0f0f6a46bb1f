import { awsBatches, awsListPages } from '../floor/calls.ts';
import type { Benchmark, BenchOptions, Row } from '../harness/row.ts';
import { openLab } from '../world/lab.ts';
import { distinctKeys, valuesOf } from '../world/test-data.ts';
import { callsRow, clusterRows, cycleCost, firstSync, RUN_MODES, size } from './cycles.ts';

const CHANGED = 10;

export const awsCalls: Benchmark = {
  name: 'aws-calls',
  title: 'AWS Secrets Manager, 1,000 mappings of 5 distinct keys',
  goal: 'first sync ≤ 310 calls, a cycle without changes ≤ 60, with 10 of 5,000 keys changed ≤ 65; no write without a change',
  async run(options: BenchOptions): Promise<readonly Row[]> {
    const { report } = options;
    await using lab = await openLab(options);
    const aws = await lab.fakeStore('aws');
    await aws.delay(10);
    const namespaces = await lab.namespaces(1);
    const { mappings, values } = distinctKeys(size(options, 1_000), namespaces);
    const keys = Object.keys(values);
    const refresh = 8;
    const setting = {
      store: 'aws',
      fakeStore: aws,
      refresh: `${refresh}s`,
      concurrency: 16,
      mappings,
    } as const;
    const goals = options.quick ? [36, 10, 12] : [310, 60, 65];
    const [first = 0, unchanged = 0, changed = 0] = goals;

    report('first sync');
    const made = await firstSync(lab, setting, values);
    const pages = await awsListPages(aws);
    const batches = await awsBatches(aws, keys);
    const rows: Row[] = [
      callsRow(
        { id: 'aws/first', title: 'first sync', way: 'sync', floor: batches, goal: { value: first } },
        made,
      ),
    ];
    for (const mode of RUN_MODES) {
      report(`cycles without changes: ${mode}`);
      const run = {
        place: made.place,
        way: mode,
        seconds: refresh * (options.quick ? 1 : 3) + 4,
        keys: keys.length,
      };
      const quiet = await cycleCost(lab, setting, run);
      const about = {
        id: 'aws/unchanged',
        title: 'a cycle without changes',
        way: mode,
        floor: pages,
        goal: { value: unchanged },
      };
      rows.push(callsRow(about, quiet), ...clusterRows('aws', mode, quiet));

      report(`cycles with ${CHANGED} changed keys: ${mode}`);
      const some = keys.filter((_, n) => n % Math.floor(keys.length / CHANGED) === 0).slice(0, CHANGED);
      await aws.put(valuesOf(some, RUN_MODES.indexOf(mode) + 1));
      const after = await cycleCost(lab, setting, run);
      // Only the first cycle finds the changed keys. Each later cycle costs as much as a cycle without changes, so
      // subtract the calls of the later cycles.
      const calls = after.calls * after.cycles - (after.cycles - 1) * quiet.calls;
      rows.push(
        callsRow(
          {
            id: 'aws/changed',
            title: `a cycle with ${CHANGED} changed keys`,
            way: mode,
            floor: pages + 1,
            goal: { value: changed },
          },
          { ...after, calls },
        ),
      );
    }
    return rows;
  },
};
