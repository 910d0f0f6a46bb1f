import { azureToken } from '../floor/azure-token.ts';
import { azureListPages } from '../floor/calls.ts';
import type { Benchmark, Row } from '../harness/row.ts';
import { openLab } from '../world/lab.ts';
import { distinctKeys, flatName } from '../world/scenes.ts';
import { callsRow, clusterRows, firstSync, passCost, size, WAYS } from './passes.ts';

export const azureCalls: Benchmark = {
  name: 'azure-calls',
  title: 'Azure Key Vault, 1,000 secrets in 200 mappings',
  goal: 'a pass with no change ≤ 45 calls',
  async run(options): Promise<readonly Row[]> {
    await using lab = await openLab(options);
    const azure = await lab.double('azure');
    await azure.delay(10);
    const namespaces = await lab.namespaces(1);
    const { mappings, values } = distinctKeys(size(options, 200), namespaces, flatName);
    const keys = Object.keys(values).length;
    const refresh = 12;
    const setting = {
      store: 'azure',
      double: azure,
      refresh: `${refresh}s`,
      concurrency: 16,
      mappings,
    } as const;
    options.report('first sync');
    const { place, ...first } = await firstSync(lab, setting, values);
    const pages = await azureListPages(azure, await azureToken(azure));
    const rows: Row[] = [
      callsRow(
        { id: 'azure/first', title: 'first sync', way: 'sync', floor: keys, goal: { ratio: 1.05 } },
        first,
      ),
    ];
    for (const way of WAYS) {
      options.report(`passes with no change: ${way}`);
      const cost = await passCost(lab, setting, {
        place,
        way,
        seconds: refresh * (options.quick ? 2 : 4) + 4,
        keys,
      });
      const goal = { value: options.quick ? 8 : 45 };
      const about = { id: 'azure/unchanged', title: 'a pass with no change', way, floor: pages, goal };
      rows.push(callsRow(about, cost), ...clusterRows('azure', way, cost));
    }
    return rows;
  },
};
