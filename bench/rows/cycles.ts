import type { RequestCounts } from '../../test/integration/services/kubernetes-api.ts';
import type { Counts } from '../fake-stores/fake-store.ts';
import { totalOf } from '../fake-stores/start.ts';
import { type BenchOptions, type Goal, type Row, row } from '../harness/row.ts';
import type { Engine, Lab, Setting } from '../world/lab.ts';
import type { Workspace } from '../world/program.ts';
import { costOf, serveFor, syncOnce, writesIn } from '../world/runs.ts';

/** How the program runs: as a service on one of the two engines, or as one `sync` command. */
export type RunMode = Engine | 'sync';
export const RUN_MODES = ['memory', 'redis', 'sync'] as const satisfies readonly RunMode[];

export const RUN_MODE_LABELS: Readonly<Record<RunMode, string>> = {
  memory: 'service, memory engine',
  redis: 'service, Redis engine',
  sync: 'one `sync`',
};

/**
 * The cost of a run. `cycles` is the number of cycles in the run, and `calls` is the number of store calls in each
 * cycle.
 */
export interface CycleCost {
  readonly calls: number;
  readonly store: Counts;
  readonly cluster: RequestCounts;
  readonly cycles: number;
}

export async function cycleCost(
  lab: Lab,
  setting: Omit<Setting, 'engine'>,
  {
    place: workspace,
    way: mode,
    seconds,
    keys,
  }: { readonly place: Workspace; readonly way: RunMode; readonly seconds: number; readonly keys: number },
): Promise<CycleCost> {
  const { fakeStore } = setting;
  if (mode === 'sync') {
    const { store, cluster } = await costOf(lab, fakeStore, () => syncOnce(workspace));
    return { calls: totalOf(store), store, cluster, cycles: 1 };
  }
  const configured = await lab.configure(workspace, { ...setting, engine: mode });
  const {
    store,
    cluster,
    result: cycles,
  } = await costOf(lab, fakeStore, () => serveFor(configured, seconds, keys));
  return { calls: totalOf(store) / cycles, store, cluster, cycles };
}

/** Returns the rows about API server requests, which do not depend on the kind of store. */
export function clusterRows(id: string, mode: RunMode, { cluster, cycles }: CycleCost): readonly Row[] {
  const reads = (cluster.GET ?? 0) + (cluster.LIST ?? 0);
  return [
    row({
      id: `${id}/writes/${mode}`,
      title: `Secret writes at the API server, ${RUN_MODE_LABELS[mode]}`,
      unit: 'requests',
      value: writesIn(cluster),
      floor: 0,
      goal: { value: 0 },
      detail: { passes: cycles },
    }),
    row({
      id: `${id}/reads/${mode}`,
      title: `Secret GETs and LISTs at the API server, ${RUN_MODE_LABELS[mode]}`,
      unit: 'requests',
      value: mode === 'sync' ? reads : reads / cycles,
      detail: { GET: cluster.GET ?? 0, LIST: cluster.LIST ?? 0, passes: cycles },
    }),
  ];
}

export function callsRow(
  {
    id,
    title,
    way: mode,
    floor,
    goal,
  }: { id: string; title: string; way: RunMode; floor: number; goal: Goal },
  { calls, store, cycles }: CycleCost,
): Row {
  return row({
    id: `${id}/${mode}`,
    title: `${title}, ${RUN_MODE_LABELS[mode]}`,
    unit: 'calls',
    value: calls,
    floor,
    goal,
    detail: { ...store.calls, connections: store.connections, passes: cycles },
  });
}

/** Puts values into the store and creates every Secret with one `sync`. */
export async function firstSync(
  lab: Lab,
  setting: Omit<Setting, 'engine'>,
  values: Readonly<Record<string, string>>,
): Promise<CycleCost & { readonly place: Workspace }> {
  await setting.fakeStore.put(values);
  const workspace = await lab.workspace({ ...setting, engine: 'memory' });
  const { store, cluster } = await costOf(lab, setting.fakeStore, () => syncOnce(workspace));
  return { place: workspace, calls: totalOf(store), store, cluster, cycles: 1 };
}

export function size({ quick }: BenchOptions, full: number): number {
  return quick ? full / 10 : full;
}
