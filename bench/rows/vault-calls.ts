import { vaultReads } from '../floor/calls.ts';
import type { Benchmark, Row } from '../harness/row.ts';
import { openLab } from '../world/lab.ts';
import { distinctKeys } from '../world/test-data.ts';
import { callsRow, clusterRows, cycleCost, firstSync, RUN_MODES, size } from './cycles.ts';

export const vaultCalls: Benchmark = {
  name: 'vault-calls',
  title: 'Vault KV version 2, 300 mappings of 5 distinct keys, AppRole login',
  goal: 'a cycle ≤ 1,502 calls: one read for each key, and the login',
  async run(options): Promise<readonly Row[]> {
    await using lab = await openLab(options);
    const vault = await lab.fakeStore('vault');
    await vault.delay(10);
    const namespaces = await lab.namespaces(1);
    const { mappings, values } = distinctKeys(size(options, 300), namespaces);
    const keys = Object.keys(values);
    const refresh = 20;
    const setting = {
      store: 'vault',
      fakeStore: vault,
      refresh: `${refresh}s`,
      concurrency: 16,
      mappings,
    } as const;
    options.report('first sync');
    const { place: workspace, ...first } = await firstSync(lab, setting, values);
    const floor = await vaultReads(vault, keys);
    // Each process logs in to Vault once and logs out once.
    const goal = { value: floor + 2 };
    const rows: Row[] = [
      callsRow({ id: 'vault/first', title: 'first sync', way: 'sync', floor, goal }, first),
    ];
    for (const mode of RUN_MODES) {
      options.report(`cycles without changes: ${mode}`);
      const cost = await cycleCost(lab, setting, {
        place: workspace,
        way: mode,
        seconds: refresh * (options.quick ? 1 : 2) + 4,
        keys: keys.length,
      });
      const about = { id: 'vault/unchanged', title: 'a cycle without changes', way: mode, floor, goal };
      rows.push(callsRow(about, cost), ...clusterRows('vault', mode, cost));
    }
    return rows;
  },
};
