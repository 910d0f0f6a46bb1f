import { findLastBreak } from '../audit/decisions.ts';
import type { AuditRecord, Entry } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { ErrorCode } from '../core/error-codes.ts';
import { append, smallest } from '../core/lists.ts';

// Pending restarts are stored only in the audit, as intents without an outcome. Each intent is appended together with
// the record of the change. Records without a phase report progress: one of the selected workloads was restarted, a
// restart is delayed, or the rollout after a restart is stuck or has ended.

/** One change of a Secret, with the workload or the selector to restart because of this change. */
export interface PendingRestart {
  readonly intent: AuditRecord;
  /** When the change was made, in milliseconds since 1970. */
  readonly changedAt: number;
  /** The workloads that were already restarted for this change, in the format of audit records. */
  readonly restarted: ReadonlySet<string>;
  /** The last recorded error code, if the restart is delayed. */
  readonly code?: string;
}

/** A rollout that a restart of ours started. */
export interface Rollout {
  readonly workload: string;
  readonly namespace: string;
  readonly startedAt: number;
  /** The fingerprint of the Secret content that caused the rollout. */
  readonly fingerprint?: string | undefined;
}

export interface RestartRecords {
  /** Pending restarts, oldest first. */
  readonly pending: readonly PendingRestart[];
  /** The latest rollout of each workload. Rollouts before `rolloutsSince` are omitted. */
  readonly rollouts: readonly Rollout[];
  /** The lowest sequence number that the next scan still needs. */
  readonly floor: number;
}

interface ScanOptions {
  /** The `floor` that the previous scan returned, or 0. */
  readonly floor: number;
  /** The earliest time of an intent, in milliseconds since 1970. Older intents are ignored. */
  readonly since: number;
  /** The earliest time of a rollout, in milliseconds since 1970. Older rollouts are ignored. */
  readonly rolloutsSince: number;
  readonly instances: readonly string[];
}

const PAGE = 500;
export const STUCK_CODE = 'ROLLOUT_STUCK' satisfies ErrorCode;

/** Reads the restart records from `floor` on, and returns what is pending after them. */
export async function readRestarts(
  audit: Pick<AuditStore, 'list'>,
  { floor, since, rolloutsSince, instances }: ScanOptions,
): Promise<RestartRecords> {
  const records: AuditRecord[] = [];
  for await (const page of restartPages(audit, since, Math.max(0, floor - 1))) append(records, page);
  const ownRecords = records.filter(({ instance }) => instances.includes(instance));
  const openRestarts = new Map<
    string,
    { intent: AuditRecord; changedAt: number; restarted: Set<string>; code?: string }
  >();
  const rollouts = new Map<string, Rollout & { sequence: number }>();
  for (const record of ownRecords) {
    const { phase, outcome, note = '', code, namespace = '', after, sequence } = record;
    const key = keyOf(record);
    const recordedAt = Date.parse(record.time);
    if (phase === 'intent') {
      openRestarts.set(key, { intent: record, changedAt: recordedAt, restarted: new Set() });
      continue;
    }
    const pendingRestart = openRestarts.get(key);
    if (
      outcome === 'ok' &&
      (record.counts?.rolled ?? 0) > 0 &&
      recordedAt >= rolloutsSince &&
      !note.includes(' ')
    )
      rollouts.set(JSON.stringify([namespace, note]), {
        workload: note,
        namespace,
        startedAt: recordedAt,
        fingerprint: after,
        sequence,
      });
    if (phase === 'outcome') openRestarts.delete(key);
    else if (outcome === 'ok') pendingRestart?.restarted.add(note);
    else if (pendingRestart !== undefined && code !== undefined && code !== STUCK_CODE)
      pendingRestart.code = code;
  }
  const needed = [
    ...[...openRestarts.values()].map(({ intent }) => intent.sequence),
    ...[...rollouts.values()].map(({ sequence }) => sequence),
  ];
  const nextSequence = (records.at(-1)?.sequence ?? floor - 1) + 1;
  return {
    pending: [...openRestarts.values()],
    rollouts: [...rollouts.values()],
    floor: Math.min(nextSequence, smallest(needed)),
  };
}

/**
 * Reads the restart records after a sequence, oldest first.
 * @param since The earliest time of a record, in milliseconds since 1970.
 */
export async function* restartPages(
  audit: Pick<AuditStore, 'list'>,
  since: number,
  after: number,
): AsyncGenerator<readonly AuditRecord[]> {
  const filter = { action: 'restart', since: new Date(since).toISOString() } as const;
  for (let last = after; ; ) {
    const page = await audit.list(filter, { limit: PAGE, after: last });
    yield page;
    if (page.length < PAGE) return;
    last = page.at(-1)?.sequence ?? last;
  }
}

/**
 * Returns the key that an outcome shares with its intent. The key includes the fingerprint, because one request may
 * change a Secret twice.
 */
export function keyOf({ requestId, mapping, namespace, secret, attempt, after }: AuditRecord): string {
  return JSON.stringify([requestId, mapping, namespace, secret, attempt, after]);
}

/** The pending restarts that may be carried out, and those that may already be done. */
export interface CheckedRestarts {
  readonly pending: readonly PendingRestart[];
  /** Records are missing since the change, which may have contained the outcome of the restart. */
  readonly doubtful: readonly PendingRestart[];
}

/**
 * Searches all records since the oldest pending restart for outcomes. Somebody with access to the database can remove an
 * outcome or hide it from searches. A repeated restart would then set an outdated fingerprint.
 */
export async function checkOutcomes(
  audit: Pick<AuditStore, 'storedRecords' | 'head'>,
  pending: readonly PendingRestart[],
): Promise<CheckedRestarts> {
  const from = smallest(pending.map(({ intent }) => intent.sequence));
  if (!Number.isFinite(from)) return { pending, doubtful: [] };
  const done = new Set<string>();
  const broken = await findLastBreak(audit, from, (record) => {
    if (record.action === 'restart' && record.phase === 'outcome') done.add(keyOf(record));
  });
  const open = pending.filter(({ intent }) => !done.has(keyOf(intent)));
  const isDoubtful = ({ intent }: PendingRestart): boolean => intent.sequence < (broken ?? 0);
  return {
    pending: open.filter((pendingRestart) => !isDoubtful(pendingRestart)),
    doubtful: open.filter(isDoubtful),
  };
}

/** Creates the outcome of a pending restart. `code` is set if the restart failed. */
export function restartOutcome(
  { intent, changedAt }: PendingRestart,
  now: number,
  result: { readonly code?: string; readonly counts?: Readonly<Record<string, number>> },
): Entry {
  return {
    ...baseEntry(intent, now - changedAt),
    phase: 'outcome',
    outcome: result.code === undefined ? 'ok' : 'failed',
    ...result,
  };
}

/**
 * Creates the audit record of a restart of a workload that a selector matched. The other workloads of the selector may
 * still be pending.
 */
export function workloadRestarted(
  { intent, changedAt }: PendingRestart,
  now: number,
  workload: string,
  rolled: 0 | 1,
): Entry {
  return { ...baseEntry(intent, now - changedAt), outcome: 'ok', note: workload, counts: { rolled } };
}

/**
 * Creates the record that a restart is delayed, with the code of the reason. Append it only when the reason begins or
 * changes.
 */
export function restartDelayed({ intent, changedAt }: PendingRestart, now: number, code: string): Entry {
  return { ...baseEntry(intent, now - changedAt), outcome: 'failed', code };
}

/**
 * Creates the record that the rollout after a restart is stuck, or that a stuck rollout has ended.
 * @param restarted The record of the restart.
 */
export function rolloutChecked(restarted: AuditRecord, now: number, isStuck: boolean): Entry {
  const entry = baseEntry(restarted, now - Date.parse(restarted.time));
  return isStuck ? { ...entry, outcome: 'failed', code: STUCK_CODE } : { ...entry, outcome: 'ok' };
}

function baseEntry(intent: AuditRecord, durationMs: number): Omit<Entry, 'outcome' | 'phase'> {
  const { actor, requestId, action, mapping, namespace, secret, sources, keys, after, note, attempt } =
    intent;
  return {
    actor,
    requestId,
    action,
    ...(mapping === undefined ? {} : { mapping }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(secret === undefined ? {} : { secret }),
    sources,
    keys,
    ...(after === undefined ? {} : { after }),
    ...(note === undefined ? {} : { note }),
    durationMs: Math.max(0, durationMs),
    attempt,
  };
}
