import { vaultReads } from '../floor/calls.ts';
import type { Benchmark, Row } from '../harness/row.ts';
import { openLab } from '../world/lab.ts';
import { distinctKeys } from '../world/scenes.ts';
import { callsRow, clusterRows, firstSync, passCost, size, WAYS } from './passes.ts';

export const vaultCalls: Benchmark = {
  name: 'vault-calls',
  title: 'Vault KV version 2, 300 mappings of 5 distinct keys, login by AppRole',
  goal: 'a pass ≤ 1,502 calls: a read for each key, and the login',
  async run(options): Promise<readonly Row[]> {
    await using lab = await openLab(options);
    const vault = await lab.double('vault');
    await vault.delay(10);
    const namespaces = await lab.namespaces(1);
    const { mappings, values } = distinctKeys(size(options, 300), namespaces);
    const keys = Object.keys(values);
    const refresh = 20;
    const setting = {
      store: 'vault',
      double: vault,
      refresh: `${refresh}s`,
      concurrency: 16,
      mappings,
    } as const;
    options.report('first sync');
    const { place, ...first } = await firstSync(lab, setting, values);
    const floor = await vaultReads(vault, keys);
    // One login and one logout for the life of a process, whatever it reads.
    const goal = { value: floor + 2 };
    const rows: Row[] = [
      callsRow({ id: 'vault/first', title: 'first sync', way: 'sync', floor, goal }, first),
    ];
    for (const way of WAYS) {
      options.report(`passes with no change: ${way}`);
      const cost = await passCost(lab, setting, {
        place,
        way,
        seconds: refresh * (options.quick ? 1 : 2) + 4,
        keys: keys.length,
      });
      const about = { id: 'vault/unchanged', title: 'a pass with no change', way, floor, goal };
      rows.push(callsRow(about, cost), ...clusterRows('vault', way, cost));
    }
    return rows;
  },
};
