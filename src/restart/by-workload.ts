import type { LiveWorkload, WorkloadId, Workloads } from '../cluster/workloads.ts';
import { parseWorkload } from '../sync/restart.ts';
import { type Answer, ask } from './ask.ts';
import type { Failures } from './failures.ts';
import { type Group, inOrder, keyOf, workloadId } from './groups.ts';
import type { PendingRestart } from './pending.ts';

export interface ByWorkload {
  readonly groups: readonly Group[];
  /** By what names a selector: the keys of the workloads that it selects. */
  readonly selected: ReadonlyMap<PendingRestart, readonly string[]>;
}

export interface ByWorkloadDeps {
  readonly workloads: Pick<Workloads, 'list'>;
  readonly failures: Failures;
  readonly call: { readonly signal?: AbortSignal };
}

/** What is pending for each workload. What cannot be listed fails, and is in no group. */
export async function byWorkload(
  pending: readonly PendingRestart[],
  { workloads, failures, call }: ByWorkloadDeps,
): Promise<ByWorkload> {
  const groups = new Map<string, Group>();
  const selected = new Map<PendingRestart, readonly string[]>();
  const put = (id: WorkloadId, it: PendingRestart, live?: LiveWorkload): void => {
    const known = groups.get(keyOf(id)) ?? { id, pending: [] };
    known.live ??= live;
    known.pending.push(it);
    groups.set(keyOf(id), known);
  };
  const lists = new Map<string, Answer<readonly LiveWorkload[]>>();
  for (const it of pending) {
    const { namespace = '', note = '' } = it.intent;
    const { kind = '', name = '', selector } = parseWorkload(note) ?? {};
    const id = workloadId(namespace, kind, name);
    if (id === undefined) {
      await failures.missing([it]);
      continue;
    }
    if (selector === undefined) {
      put(id, it);
      continue;
    }
    if (failures.isCutOff()) continue;
    const key = JSON.stringify([namespace, note]);
    const list = () => workloads.list(id.kind, namespace, selector.matchLabels, call);
    const answer = lists.get(key) ?? (await ask(list));
    lists.set(key, answer);
    if ('error' in answer) {
      await failures.failed([it], answer.error);
      continue;
    }
    for (const live of answer.value) put(live.id, it, live);
    const keys = answer.value.map(({ id }) => keyOf(id));
    selected.set(it, keys);
  }
  return { groups: inOrder(groups.values()), selected };
}
