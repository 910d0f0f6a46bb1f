import type { LiveWorkload, WorkloadId, Workloads } from '../cluster/workloads.ts';
import { isAway, MOST_UNANSWERED } from '../core/away.ts';
import { parseWorkload } from '../sync/restart.ts';
import { ask } from './ask.ts';
import { keyOf, nameOf, workloadId } from './groups.ts';
import type { Rolled } from './pending.ts';

/** What became of the rolls on record. */
export interface Rolling {
  /** By `keyOf`: those that roll because of us. */
  readonly rolling: Set<string>;
  /** By `keyOf`: those that were looked at, as they are. */
  readonly seen: ReadonlyMap<string, LiveWorkload | undefined>;
  /** Whether it is on record that a workload was rolled for a content. */
  isRecorded(id: WorkloadId, after: string | undefined): boolean;
}

export interface RollingDeps {
  readonly workloads: Pick<Workloads, 'read'>;
  /** Rolls that were seen to have ended, so that each is looked at until then only. */
  readonly ended: Set<string>;
  readonly call: { readonly signal?: AbortSignal };
}

export async function lookAtRolls(
  rolls: readonly Rolled[],
  { workloads, ended, call }: RollingDeps,
): Promise<Rolling> {
  const rolling = new Set<string>();
  const seen = new Map<string, LiveWorkload | undefined>();
  const recorded = new Set(rolls.map((it) => contentOf(it.namespace, it.workload, it.after)));
  const current = new Set(rolls.map(nameOfRoll));
  for (const name of ended) if (!current.has(name)) ended.delete(name);
  let unanswered = 0;
  for (const roll of rolls) {
    const { kind = '', name = '' } = parseWorkload(roll.workload) ?? {};
    const id = workloadId(roll.namespace, kind, name);
    if (id === undefined || ended.has(nameOfRoll(roll))) continue;
    const answer = unanswered < MOST_UNANSWERED ? await ask(() => workloads.read(id, call)) : undefined;
    if (answer !== undefined && 'value' in answer) seen.set(keyOf(id), answer.value);
    // One that cannot be looked at may well roll.
    if (answer === undefined || 'error' in answer || answer.value?.rolling) rolling.add(keyOf(id));
    else ended.add(nameOfRoll(roll));
    if (answer !== undefined && 'error' in answer && isAway(answer.error)) unanswered += 1;
  }
  return {
    rolling,
    seen,
    isRecorded: (id, after) => recorded.has(contentOf(id.namespace, nameOf(id), after)),
  };
}

function nameOfRoll({ namespace, workload, at }: Rolled): string {
  return JSON.stringify([namespace, workload, at]);
}

function contentOf(namespace: string, workload: string, after: string | undefined): string {
  return JSON.stringify([namespace, workload, after]);
}
