import { type LiveWorkload, type WorkloadId, workloadKind } from '../cluster/workloads.ts';
import { isYetToCome } from '../core/clock.ts';
import { compareText } from '../core/target.ts';
import { RESTART_AGAIN, restartAnnotation } from '../sync/restart.ts';
import type { PendingRestart } from './pending.ts';

/** All that is pending for one workload. */
export interface Group {
  readonly id: WorkloadId;
  /** As a list had it. */
  live?: LiveWorkload | undefined;
  readonly pending: PendingRestart[];
}

/** A workload as records name it. */
export function nameOf({ kind, name }: Pick<WorkloadId, 'kind' | 'name'>): string {
  return `${kind}/${name}`;
}

export function keyOf(id: WorkloadId): string {
  return JSON.stringify([id.namespace, nameOf(id)]);
}

export function workloadId(namespace: string, kind: string, name: string): WorkloadId | undefined {
  const known = workloadKind(kind);
  return known && { kind: known, namespace, name };
}

/** When the first change was made that it is to be restarted for. */
export function since({ pending }: Group): number {
  return Math.min(...pending.map(({ at }) => at));
}

/** How long what was changed at that moment is to wait; 0 or less: it is due. */
export function untilDue(at: number, windowMs: number, now: number): number {
  return isYetToCome(at, now) ? 0 : at + windowMs - now;
}

/** Oldest first, and always in the same order. */
export function inOrder(groups: Iterable<Group>): readonly Group[] {
  return [...groups].sort((a, b) => since(a) - since(b) || compareText(keyOf(a.id), keyOf(b.id)));
}

/**
 * The annotations that the pod template lacks: the latest fingerprint of each Secret that changed. One that it has
 * had already, for all that anybody took it away since, is not set again: only a change of content restarts.
 */
export function lacking(live: LiveWorkload, pending: readonly PendingRestart[]): Record<string, string> {
  const { podAnnotations, foreign = [] } = live;
  const latest = new Map(
    pending
      .toSorted((a, b) => a.intent.sequence - b.intent.sequence)
      .map((it) => [it.intent.secret ?? '', it]),
  );
  const missing: [string, string][] = [];
  const reverted: number[] = [];
  for (const [secret, { intent, rolled }] of latest) {
    const { after = '', sequence } = intent;
    const name = restartAnnotation(secret);
    if (rolled.has(nameOf(live.id))) continue;
    if (podAnnotations[name] !== after) missing.push([name, after]);
    else if (foreign.includes(name)) reverted.push(sequence);
  }
  // Whoever goes back to an older template brings back the fingerprint of that time, with pods that have read what was
  // there since. It cannot be set once more, so that another annotation has to roll them.
  const mark = reverted.length === 0 ? podAnnotations[RESTART_AGAIN] : String(Math.max(...reverted));
  if (mark !== undefined && podAnnotations[RESTART_AGAIN] !== mark) missing.push([RESTART_AGAIN, mark]);
  return Object.fromEntries(missing);
}
