import type { Counts } from '../fake-stores/fake-store.ts';
import type { RunningFakeStore } from '../fake-stores/start.ts';
import { vaultReadTime } from '../floor/calls.ts';
import { type Benchmark, type BenchOptions, type Row, row } from '../harness/row.ts';
import { median } from '../harness/statistics.ts';
import { type Lab, openLab } from '../world/lab.ts';
import { costOf, serveUntil, syncOnce } from '../world/runs.ts';
import { distinctKeys } from '../world/test-data.ts';
import { RUN_MODE_LABELS, size } from './cycles.ts';

const ROUNDS = 3;
const LATENCY_MS = 10;
const MODES = ['memory', 'sync'] as const;
type Mode = (typeof MODES)[number];
/** The numbers of concurrent requests of the floors. The first one is the default of `limits.concurrency`. */
const CONCURRENCIES = [16, 32] as const;
const QUOTA = 100;

export const firstSyncVault: Benchmark = {
  name: 'first-sync-vault',
  title: 'First sync of 300 mappings of 5 Vault keys, 10 ms for each call, with the default limits',
  goal: 'at most 3 s; a Vault that takes 100 requests a second throttles for at most a second',
  async run(options): Promise<readonly Row[]> {
    await using lab = await openLab(options);
    const vault = await lab.fakeStore('vault');
    const count = size(options, 300);
    const { values } = distinctKeys(count, []);
    const keys = Object.keys(values);
    await vault.put(values);
    await vault.delay(LATENCY_MS);
    const times: Record<Mode, number[]> = { memory: [], sync: [] };
    const floors: number[][] = CONCURRENCIES.map(() => []);
    // The first round only warms up the servers.
    for (let round = 0; round <= (options.quick ? 1 : ROUNDS); round += 1) {
      for (const mode of MODES) {
        options.report(`round ${round}: ${RUN_MODE_LABELS[mode]}`);
        const { ms } = await sync(lab, vault, { mode, count });
        if (round > 0) times[mode].push(ms);
      }
      for (const [index, concurrency] of CONCURRENCIES.entries()) {
        const ms = await vaultReadTime(vault, keys, concurrency);
        if (round > 0) floors[index]?.push(ms);
      }
    }
    return [
      ...MODES.flatMap((mode) =>
        CONCURRENCIES.map((concurrency, index) =>
          row({
            id: `first-vault/time/${mode}/${concurrency}`,
            title: `from process start, floor: the reads with ${concurrency} at a time, ${RUN_MODE_LABELS[mode]}`,
            unit: 's',
            value: median(times[mode]) / 1_000,
            floor: median(floors[index] ?? []) / 1_000,
            goal: { value: 3 },
          }),
        ),
      ),
      await slowVault(lab, vault, options),
    ];
  },
};

async function slowVault(lab: Lab, vault: RunningFakeStore, options: BenchOptions): Promise<Row> {
  options.report(`a Vault that takes ${QUOTA} requests a second`);
  await vault.quota(QUOTA);
  const count = size(options, 300);
  const { ms, store } = await sync(lab, vault, { mode: 'memory', count });
  await vault.quota(undefined);
  const throttled = Object.entries(store.calls).filter(([operation]) => operation.startsWith('throttled '));
  return row({
    id: 'first-vault/throttled',
    title: `seconds in which a Vault that takes ${QUOTA} requests a second throttled, service, memory engine`,
    unit: 's',
    value: throttled.length,
    floor: 0,
    goal: { value: 1 },
    detail: { seconds: ms / 1_000, ...Object.fromEntries(throttled) },
  });
}

async function sync(
  lab: Lab,
  vault: RunningFakeStore,
  { mode, count }: { readonly mode: Mode; readonly count: number },
): Promise<{ readonly ms: number; readonly store: Counts }> {
  const [namespace = ''] = await lab.namespaces(1);
  const workspace = await lab.workspace({
    engine: 'memory',
    store: 'vault',
    fakeStore: vault,
    refresh: '1h',
    concurrency: 16,
    mappings: distinctKeys(count, [namespace]).mappings,
  });
  const { result, store } = await costOf(lab, vault, () =>
    mode === 'sync' ? syncOnce(workspace) : serveUntil(workspace, lab, { namespace, secrets: count }),
  );
  return { ms: result.ms, store };
}
