import type { LiveWorkload, WorkloadId, Workloads } from '../cluster/workloads.ts';
import { isClusterOutage, MAX_UNANSWERED_CALLS } from '../core/errors.ts';
import { parseWorkload } from '../sync/restart.ts';
import { keyOf, nameOf, toResult, workloadId } from './groups.ts';
import type { Rollout } from './pending.ts';

/** The status of the recorded rollouts. */
export interface RolloutStatus {
  /** The keys of the workloads that we restarted and that are still rolling out. */
  readonly rolling: Set<string>;
  /** The workloads that were read. The keys come from `keyOf`. */
  readonly workloads: ReadonlyMap<string, LiveWorkload | undefined>;
  /** Whether the audit records a rollout of the workload for this content. */
  isRecorded(id: WorkloadId, after: string | undefined): boolean;
}

export interface RolloutDeps {
  readonly workloads: Pick<Workloads, 'read'>;
  /** The rollouts that have completed and need no further check. */
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
    // If a workload cannot be read, it may still be rolling out, so count it.
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
