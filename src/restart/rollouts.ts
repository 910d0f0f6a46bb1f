import type { LiveWorkload, WorkloadId, Workloads } from '../cluster/workloads.ts';
import { isClusterOutage, MAX_UNANSWERED_CALLS } from '../core/cluster-outage.ts';
import { parseWorkload } from '../sync/restart.ts';
import { keyOf, nameOf, workloadId } from './groups.ts';
import type { Rollout } from './pending.ts';
import { toResult } from './result.ts';

/** The status of the recorded rollouts. */
export interface RolloutStatus {
  /** The keys of workloads whose rollouts of ours are running. */
  readonly rolling: Set<string>;
  /** The workloads that were read, by `keyOf`. */
  readonly workloads: ReadonlyMap<string, LiveWorkload | undefined>;
  /** Whether a rollout of a workload for this content is recorded. */
  isRecorded(id: WorkloadId, after: string | undefined): boolean;
}

export interface RolloutDeps {
  readonly workloads: Pick<Workloads, 'read'>;
  /** Completed rollouts, so that they are not checked again. */
  readonly completed: Set<string>;
  readonly call: { readonly signal?: AbortSignal };
}

export async function checkRollouts(
  rollouts: readonly Rollout[],
  { workloads, completed, call }: RolloutDeps,
): Promise<RolloutStatus> {
  const rolling = new Set<string>();
  const liveWorkloads = new Map<string, LiveWorkload | undefined>();
  const recorded = new Set(
    rollouts.map((rolled) => contentKey(rolled.namespace, rolled.workload, rolled.fingerprint)),
  );
  const current = new Set(rollouts.map(rolloutKey));
  for (const name of completed) if (!current.has(name)) completed.delete(name);
  let unanswered = 0;
  for (const rollout of rollouts) {
    const { kind = '', name = '' } = parseWorkload(rollout.workload) ?? {};
    const id = workloadId(rollout.namespace, kind, name);
    if (id === undefined || completed.has(rolloutKey(rollout))) continue;
    const answer =
      unanswered < MAX_UNANSWERED_CALLS ? await toResult(() => workloads.read(id, call)) : undefined;
    if (answer !== undefined && 'value' in answer) liveWorkloads.set(keyOf(id), answer.value);
    // An unreadable workload may be rolling out.
    if (answer === undefined || 'error' in answer || answer.value?.rolling) rolling.add(keyOf(id));
    else completed.add(rolloutKey(rollout));
    if (answer !== undefined && 'error' in answer && isClusterOutage(answer.error)) unanswered += 1;
  }
  return {
    rolling,
    workloads: liveWorkloads,
    isRecorded: (id, fingerprint) => recorded.has(contentKey(id.namespace, nameOf(id), fingerprint)),
  };
}

function rolloutKey({ namespace, workload, startedAt }: Rollout): string {
  return JSON.stringify([namespace, workload, startedAt]);
}

function contentKey(namespace: string, workload: string, fingerprint: string | undefined): string {
  return JSON.stringify([namespace, workload, fingerprint]);
}
