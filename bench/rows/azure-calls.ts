import { azureToken } from '../floor/azure-token.ts';
import { azureListPages } from '../floor/calls.ts';
import type { Benchmark, Row } from '../harness/row.ts';
import { openLab } from '../world/lab.ts';
import { distinctKeys, flatName } from '../world/test-data.ts';
import { callsRow, clusterRows, cycleCost, firstSync, RUN_MODES, size } from './cycles.ts';

export const azureCalls: Benchmark = {
  name: 'azure-calls',
  title: 'Azure Key Vault, 1,000 secrets in 200 mappings',
  goal: 'a cycle without changes ≤ 45 calls',
  async run(options): Promise<readonly Row[]> {
    await using lab = await openLab(options);
    const azure = await lab.fakeStore('azure');
    await azure.delay(10);
    const namespaces = await lab.namespaces(1);
    const { mappings, values } = distinctKeys(size(options, 200), namespaces, flatName);
    const keys = Object.keys(values).length;
    const refresh = 12;
    const setting = {
      store: 'azure',
      fakeStore: azure,
      refresh: `${refresh}s`,
      concurrency: 16,
      mappings,
    } as const;
    options.report('first sync');
    const { place: workspace, ...first } = await firstSync(lab, setting, values);
    const pages = await azureListPages(azure, await azureToken(azure));
    const rows: Row[] = [
      callsRow(
        { id: 'azure/first', title: 'first sync', way: 'sync', floor: keys, goal: { ratio: 1.05 } },
        first,
      ),
    ];
    for (const mode of RUN_MODES) {
      options.report(`cycles without changes: ${mode}`);
      const cost = await cycleCost(lab, setting, {
        place: workspace,
        way: mode,
        seconds: refresh * (options.quick ? 2 : 4) + 4,
        keys,
      });
      const goal = { value: options.quick ? 8 : 45 };
      const about = {
        id: 'azure/unchanged',
        title: 'a cycle without changes',
        way: mode,
        floor: pages,
        goal,
      };
      rows.push(callsRow(about, cost), ...clusterRows('azure', mode, cost));
    }
    return rows;
  },
};
