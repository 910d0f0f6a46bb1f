import type { RequestCounts } from '../../test/integration/services/kubernetes-api.ts';
import type { Counts } from '../doubles/double.ts';
import { totalOf } from '../doubles/start.ts';
import { type BenchOptions, type Goal, type Row, row } from '../harness/row.ts';
import type { Engine, Lab, Setting } from '../world/lab.ts';
import type { Place } from '../world/program.ts';
import { costOf, serveFor, syncOnce, writesIn } from '../world/runs.ts';

/** How the program is run: the service on either engine, or one command. */
export type Way = Engine | 'sync';
export const WAYS = ['memory', 'redis', 'sync'] as const satisfies readonly Way[];

export const SHOWN: Readonly<Record<Way, string>> = {
  memory: 'service, memory engine',
  redis: 'service, Redis engine',
  sync: 'one `sync`',
};

/** What one pass over everything costs, nothing having changed since the last. */
export interface PassCost {
  readonly calls: number;
  readonly store: Counts;
  readonly cluster: RequestCounts;
  readonly passes: number;
}

export async function passCost(
  lab: Lab,
  setting: Omit<Setting, 'engine'>,
  {
    place,
    way,
    seconds,
    keys,
  }: { readonly place: Place; readonly way: Way; readonly seconds: number; readonly keys: number },
): Promise<PassCost> {
  const { double } = setting;
  if (way === 'sync') {
    const { store, cluster } = await costOf(lab, double, () => syncOnce(place));
    return { calls: totalOf(store), store, cluster, passes: 1 };
  }
  const configured = await lab.configure(place, { ...setting, engine: way });
  const {
    store,
    cluster,
    result: passes,
  } = await costOf(lab, double, () => serveFor(configured, seconds, keys));
  return { calls: totalOf(store) / passes, store, cluster, passes };
}

/** The rows about the API server, which every store has in common. */
export function clusterRows(id: string, way: Way, { cluster, passes }: PassCost): readonly Row[] {
  const reads = (cluster.GET ?? 0) + (cluster.LIST ?? 0);
  return [
    row({
      id: `${id}/writes/${way}`,
      title: `writes of Secrets at the API server, ${SHOWN[way]}`,
      unit: 'requests',
      value: writesIn(cluster),
      floor: 0,
      goal: { value: 0 },
      detail: { passes },
    }),
    row({
      id: `${id}/reads/${way}`,
      title: `GET and LIST of Secrets at the API server, ${SHOWN[way]}`,
      unit: 'requests',
      value: way === 'sync' ? reads : reads / passes,
      detail: { GET: cluster.GET ?? 0, LIST: cluster.LIST ?? 0, passes },
    }),
  ];
}

export function callsRow(
  { id, title, way, floor, goal }: { id: string; title: string; way: Way; floor: number; goal: Goal },
  { calls, store, passes }: PassCost,
): Row {
  return row({
    id: `${id}/${way}`,
    title: `${title}, ${SHOWN[way]}`,
    unit: 'calls',
    value: calls,
    floor,
    goal,
    detail: { ...store.calls, connections: store.connections, passes },
  });
}

/** Puts values and makes every Secret, by one `sync`. */
export async function firstSync(
  lab: Lab,
  setting: Omit<Setting, 'engine'>,
  values: Readonly<Record<string, string>>,
): Promise<PassCost & { readonly place: Place }> {
  await setting.double.put(values);
  const place = await lab.place({ ...setting, engine: 'memory' });
  const { store, cluster } = await costOf(lab, setting.double, () => syncOnce(place));
  return { place, calls: totalOf(store), store, cluster, passes: 1 };
}

export function size({ quick }: BenchOptions, full: number): number {
  return quick ? full / 10 : full;
}
