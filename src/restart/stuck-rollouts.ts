import type { AuditRecord } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { LiveWorkload, WorkloadId, Workloads } from '../cluster/workloads.ts';
import { isClusterOutage } from '../core/errors.ts';
import { parseWorkload, restartAnnotation } from '../sync/restart.ts';
import type { IsRestartConfigured } from './cycle.ts';
import { toResult, workloadId } from './groups.ts';
import { createRecordReader, type RecordReaderDeps } from './new-records.ts';
import { rolloutChecked, STUCK_CODE } from './pending.ts';

export interface StuckRolloutsDeps extends RecordReaderDeps {
  readonly audit: Pick<AuditStore, 'list' | 'append' | 'exclusively'>;
  readonly workloads: Pick<Workloads, 'read'>;
  readonly isConfigured: IsRestartConfigured;
}

/** Finds rollouts that do not end. All processes share the results through the audit. */
export interface StuckRollouts {
  /**
   * Records the rollouts that are stuck, and those that have ended since. Returns the milliseconds until the next check,
   * or undefined if no rollout is open. @throws AppError AUDIT_UNAVAILABLE
   */
  check(signal?: AbortSignal): Promise<number | undefined>;
}

/** The last rollout of a workload that we restarted, until its pods are replaced. */
interface OpenRollout {
  readonly id: WorkloadId;
  /** The records of the restart, one for each changed Secret. */
  readonly restarted: AuditRecord[];
  /** The records of earlier restarts of the workload that are recorded as stuck, for other Secrets. */
  earlier: readonly AuditRecord[];
  isStuck: boolean;
  /** The uid of the workload that this process saw during its restart. */
  uid?: string;
  /** The hash of the pod template after somebody removed our annotations. */
  revertedHash?: string | undefined;
  /** The number of pods with the new template, and since when. Undefined until this process has read the workload. */
  progress?: { readonly updatedPods: number; readonly since: number };
}

/** A rollout counts as stuck if no further pod got the new template for this time. */
const NO_PROGRESS_MS = 10 * 60_000;
/** After a start of the process, older rollouts are not checked, unless they are recorded as stuck. */
const MAX_AGE_MS = 60 * 60_000;
const POLL_MS = 10_000;
const STUCK_POLL_MS = 30_000;

export function createStuckRollouts(deps: StuckRolloutsDeps): StuckRollouts {
  const { audit, clock, workloads, isConfigured } = deps;
  const open = new Map<string, OpenRollout>();
  const read = createRecordReader(deps, (record) => noteRecord(open, record));

  /** Returns whether the rollout stays open. */
  async function checkRollout(rollout: OpenRollout, live: LiveWorkload | undefined): Promise<boolean> {
    const now = clock.now();
    const isReverted = live !== undefined && checkReverted(rollout, live, now);
    const isEnded = live === undefined || (!live.rolling && !live.stalled && !isReverted);
    if (!isEnded && rollout.progress?.updatedPods !== live.updatedPods)
      rollout.progress = { updatedPods: live.updatedPods, since: now };
    const isLate = now - (rollout.progress?.since ?? now) >= NO_PROGRESS_MS;
    const isStuck = !isEnded && (live.stalled || isLate || isReverted || rollout.isStuck);
    if (isStuck !== rollout.isStuck)
      await audit.append(rollout.restarted.map((record) => rolloutChecked(record, now, isStuck)));
    if (isEnded && rollout.earlier.length > 0)
      await audit.append(rollout.earlier.map((record) => rolloutChecked(record, now, false)));
    rollout.isStuck = isStuck;
    return !isEnded;
  }

  async function checkAll(signal: AbortSignal | undefined): Promise<number | undefined> {
    // Another process may have recorded the same while this process waited.
    await read();
    for (const [key, rollout] of open) {
      const isWanted = rollout.restarted.some(({ mapping = '', note = '' }) => isConfigured(mapping, note));
      if (!isWanted || isForgotten(rollout, clock.now())) {
        open.delete(key);
        continue;
      }
      const answer = await toResult(() => workloads.read(rollout.id, signal === undefined ? {} : { signal }));
      if ('error' in answer) {
        if (isClusterOutage(answer.error)) break;
      } else if (!(await checkRollout(rollout, answer.value))) open.delete(key);
    }
    if (open.size === 0) return undefined;
    return [...open.values()].every(({ isStuck }) => isStuck) ? STUCK_POLL_MS : POLL_MS;
  }

  return {
    async check(signal) {
      await read();
      return open.size === 0 ? undefined : audit.exclusively('restart', () => checkAll(signal));
    },
  };
}

function noteRecord(open: Map<string, OpenRollout>, record: AuditRecord): void {
  const { phase, outcome, code, counts, namespace = '', note = '', sequence } = record;
  if (phase === 'intent') return;
  const key = JSON.stringify([namespace, note]);
  const rollout = open.get(key);
  if (code === STUCK_CODE) {
    if (rollout !== undefined) rollout.isStuck = true;
  } else if (outcome === 'ok' && counts === undefined) open.delete(key);
  else if (outcome === 'ok' && (counts?.rolled ?? 0) > 0) {
    const { kind = '', name } = parseWorkload(note) ?? {};
    const id = name === undefined ? undefined : workloadId(namespace, kind, name);
    const { restarted = [], earlier = [], isStuck = false } = rollout ?? {};
    const others = [...(isStuck ? restarted : []), ...earlier].filter(
      (other) => other.mapping !== record.mapping || other.secret !== record.secret,
    );
    // One restart for several Secrets has one record for each Secret, in a row.
    if (rollout !== undefined && restarted.at(-1)?.sequence === sequence - 1) {
      rollout.restarted.push(record);
      rollout.earlier = others;
    } else if (id !== undefined) open.set(key, { id, restarted: [record], earlier: others, isStuck: false });
  }
}

/**
 * Returns whether somebody removed our annotations before all pods were replaced. The pods of the earlier template then
 * stay and use the old content, until the template changes again.
 */
function checkReverted(rollout: OpenRollout, live: LiveWorkload, now: number): boolean {
  const { uid, podAnnotations, templateHash } = live;
  const isAnnotated = rollout.restarted.every(
    ({ secret = '', after }) => podAnnotations[restartAnnotation(secret)] === after,
  );
  // A tool may remove the annotations at once, before the first check.
  if (isAnnotated || now - startOf(rollout) <= POLL_MS) rollout.uid ??= uid;
  if (isAnnotated) {
    rollout.revertedHash = undefined;
    return false;
  }
  // Another process may have recorded the rollout as stuck.
  const wasAnnotated = rollout.uid === undefined ? rollout.isStuck : rollout.uid === uid;
  if (!wasAnnotated) return false;
  rollout.revertedHash ??= templateHash;
  return rollout.revertedHash === templateHash;
}

function startOf({ restarted }: OpenRollout): number {
  return Date.parse(restarted.at(-1)?.time ?? '');
}

function isForgotten(rollout: OpenRollout, now: number): boolean {
  return rollout.progress === undefined && !rollout.isStuck && now - startOf(rollout) > MAX_AGE_MS;
}
