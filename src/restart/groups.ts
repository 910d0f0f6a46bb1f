import { type LiveWorkload, type WorkloadId, workloadKind } from '../cluster/workloads.ts';
import { isInFuture } from '../core/clock.ts';
import { type AppError, toAppError } from '../core/errors.ts';
import { largest, smallest } from '../core/lists.ts';
import { compareText } from '../core/target.ts';
import { RESTART_AGAIN_ANNOTATION, restartAnnotation } from '../sync/restart.ts';
import type { PendingRestart } from './pending.ts';

export type Result<T> = { readonly value: T } | { readonly error: AppError };

/** Runs work, and returns its value or its error. Unknown errors become INTERNAL. */
export async function toResult<T>(work: () => Promise<T>): Promise<Result<T>> {
  try {
    return { value: await work() };
  } catch (thrown) {
    return { error: toAppError(thrown) };
  }
}

/** All pending restarts of one workload. */
export interface WorkloadGroup {
  readonly id: WorkloadId;
  /** The workload, if it was already read as part of a list. */
  live?: LiveWorkload | undefined;
  readonly pending: PendingRestart[];
}

/** Formats a workload for audit records. */
export function nameOf({ kind, name }: Pick<WorkloadId, 'kind' | 'name'>): string {
  return `${kind}/${name}`;
}

export function keyOf(id: WorkloadId): string {
  return JSON.stringify([id.namespace, nameOf(id)]);
}

export function workloadId(namespace: string, kind: string, name: string): WorkloadId | undefined {
  const supportedKind = workloadKind(kind);
  return supportedKind && { kind: supportedKind, namespace, name };
}

/** Returns the time of the oldest pending change, in milliseconds since 1970. */
export function oldestChange({ pending }: WorkloadGroup): number {
  return smallest(pending.map(({ changedAt }) => changedAt));
}

/** Returns the milliseconds until the restart for a change is due. 0 or less means that it is due now. */
export function msUntilDue(changedAt: number, windowMs: number, now: number): number {
  return isInFuture(changedAt, now) ? 0 : changedAt + windowMs - now;
}

/** Sorts by oldest change, then by key, so that the order is stable. */
export function sortGroups(groups: Iterable<WorkloadGroup>): readonly WorkloadGroup[] {
  return [...groups].sort(
    (a, b) => oldestChange(a) - oldestChange(b) || compareText(keyOf(a.id), keyOf(b.id)),
  );
}

/**
 * Returns the annotations to set in the pod template: the latest fingerprint of each changed Secret, unless the
 * template already has it. If the workload was already restarted for this change and somebody removed the annotation
 * afterwards, it is not set again. Setting it would restart the pods, and only a content change may do so.
 */
export function missingAnnotations(
  live: LiveWorkload,
  pending: readonly PendingRestart[],
): Record<string, string> {
  const { podAnnotations, foreign = [] } = live;
  const latest = new Map(
    pending
      .toSorted((a, b) => a.intent.sequence - b.intent.sequence)
      .map((pendingRestart) => [pendingRestart.intent.secret ?? '', pendingRestart]),
  );
  const missing: [string, string][] = [];
  const reverted: number[] = [];
  for (const [secret, { intent, restarted }] of latest) {
    const { after = '', sequence } = intent;
    const name = restartAnnotation(secret);
    if (restarted.has(nameOf(live.id))) continue;
    if (podAnnotations[name] !== after) missing.push([name, after]);
    else if (foreign.includes(name)) reverted.push(sequence);
  }
  // A rollback to an older template restores an older fingerprint, although the pods need the new content. Setting the
  // new fingerprint a second time may have no effect, so another annotation triggers the rollout.
  const restartMarker =
    reverted.length === 0 ? podAnnotations[RESTART_AGAIN_ANNOTATION] : String(largest(reverted));
  if (restartMarker !== undefined && podAnnotations[RESTART_AGAIN_ANNOTATION] !== restartMarker)
    missing.push([RESTART_AGAIN_ANNOTATION, restartMarker]);
  return Object.fromEntries(missing);
}
