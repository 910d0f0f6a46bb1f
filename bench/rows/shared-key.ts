import { awsBatches } from '../floor/calls.ts';
import type { Benchmark, Row } from '../harness/row.ts';
import { openLab } from '../world/lab.ts';
import { valuesOf } from '../world/test-data.ts';
import { callsRow, clusterRows, cycleCost, firstSync, RUN_MODES, size } from './cycles.ts';

const KEY = 'shared/registry';

export const sharedKey: Benchmark = {
  name: 'shared-key',
  title: 'One AWS key in 200 namespaces',
  goal: 'a cycle ≤ 2 calls',
  async run(options): Promise<readonly Row[]> {
    await using lab = await openLab(options);
    const aws = await lab.fakeStore('aws');
    await aws.delay(10);
    const namespaces = await lab.namespaces(size(options, 200));
    const mappings = [{ name: 'registry', namespaces, data: { PASSWORD: KEY } }];
    const refresh = 8;
    const setting = {
      store: 'aws',
      fakeStore: aws,
      refresh: `${refresh}s`,
      concurrency: 16,
      mappings,
    } as const;
    options.report('first sync');
    const { place: workspace, ...first } = await firstSync(lab, setting, valuesOf([KEY]));
    const floor = await awsBatches(aws, [KEY]);
    const goal = { value: 2 };
    const rows: Row[] = [
      callsRow({ id: 'shared/first', title: 'first sync', way: 'sync', floor, goal }, first),
    ];
    for (const mode of RUN_MODES) {
      options.report(`cycles without changes: ${mode}`);
      const cost = await cycleCost(lab, setting, {
        place: workspace,
        way: mode,
        seconds: refresh * (options.quick ? 1 : 3) + 4,
        keys: 1,
      });
      const about = { id: 'shared/unchanged', title: 'a cycle without changes', way: mode, floor, goal };
      rows.push(callsRow(about, cost), ...clusterRows('shared', mode, cost));
    }
    return rows;
  },
};
