import type { AuditRecord, Entry } from '../audit/entry.ts';
import type { PendingRestart } from './pending.ts';

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

/** Creates a record for one restarted workload of a selector. Other workloads may still be pending. */
export function workloadRestarted(
  { intent, changedAt }: PendingRestart,
  now: number,
  workload: string,
  rolled: 0 | 1,
): Entry {
  return { ...baseEntry(intent, now - changedAt), outcome: 'ok', note: workload, counts: { rolled } };
}

/** Creates a record with the reason for a delay. Append it only when the reason begins or changes. */
export function restartDelayed({ intent, changedAt }: PendingRestart, now: number, code: string): Entry {
  return { ...baseEntry(intent, now - changedAt), outcome: 'failed', code };
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
