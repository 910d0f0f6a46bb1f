import type { LiveWorkload, WorkloadId, Workloads } from '../cluster/workloads.ts';
import { parseWorkload } from '../sync/restart.ts';
import type { Failures } from './failures.ts';
import { keyOf, type Result, sortGroups, toResult, type WorkloadGroup, workloadId } from './groups.ts';
import type { PendingRestart } from './pending.ts';

export interface WorkloadGroups {
  readonly groups: readonly WorkloadGroup[];
  /** For each restart with a selector, the keys of the workloads that it selects. */
  readonly workloadsBySelector: ReadonlyMap<PendingRestart, readonly string[]>;
}

export interface ByWorkloadDeps {
  readonly workloads: Pick<Workloads, 'list'>;
  readonly failures: Failures;
  readonly call: { readonly signal?: AbortSignal };
}

/**
 * Groups the pending restarts by workload. If the workloads of a restart cannot be listed, the restart fails and joins
 * no group.
 */
export async function groupByWorkload(
  pending: readonly PendingRestart[],
  { workloads, failures, call }: ByWorkloadDeps,
): Promise<WorkloadGroups> {
  const groups = new Map<string, WorkloadGroup>();
  const selected = new Map<PendingRestart, readonly string[]>();
  const add = (id: WorkloadId, pendingRestart: PendingRestart, live?: LiveWorkload): void => {
    const group = groups.get(keyOf(id)) ?? { id, pending: [] };
    group.live ??= live;
    group.pending.push(pendingRestart);
    groups.set(keyOf(id), group);
  };
  const lists = new Map<string, Result<readonly LiveWorkload[]>>();
  for (const pendingRestart of pending) {
    const { namespace = '', note = '' } = pendingRestart.intent;
    const { kind = '', name = '', selector } = parseWorkload(note) ?? {};
    const id = workloadId(namespace, kind, name);
    if (id === undefined) {
      await failures.recordMissing([pendingRestart]);
      continue;
    }
    if (selector === undefined) {
      add(id, pendingRestart);
      continue;
    }
    if (failures.isClusterDown()) continue;
    const key = JSON.stringify([namespace, note]);
    const list = () => workloads.list(id.kind, namespace, selector, call);
    const answer = lists.get(key) ?? (await toResult(list));
    lists.set(key, answer);
    if ('error' in answer) {
      await failures.recordFailure([pendingRestart], answer.error);
      continue;
    }
    for (const live of answer.value) add(live.id, pendingRestart, live);
    const keys = answer.value.map(({ id }) => keyOf(id));
    selected.set(pendingRestart, keys);
  }
  return { groups: sortGroups(groups.values()), workloadsBySelector: selected };
}
