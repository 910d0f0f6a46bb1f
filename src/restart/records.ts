import type { AuditRecord, Entry } from '../audit/entry.ts';
import type { PendingRestart } from './pending.ts';

/** Ends what is pending. `code`: why it failed. */
export function closed(
  { intent, at }: PendingRestart,
  now: number,
  result: { readonly code?: string; readonly counts?: Readonly<Record<string, number>> },
): Entry {
  return {
    ...like(intent, now - at),
    phase: 'outcome',
    outcome: result.code === undefined ? 'ok' : 'failed',
    ...result,
  };
}

/** That one of the workloads of a selector was rolled; the others are still to come. */
export function rolledOne(
  { intent, at }: PendingRestart,
  now: number,
  workload: string,
  rolled: 0 | 1,
): Entry {
  return { ...like(intent, now - at), outcome: 'ok', note: workload, counts: { rolled } };
}

/** Why it waits, when that begins or changes. */
export function delayed({ intent, at }: PendingRestart, now: number, code: string): Entry {
  return { ...like(intent, now - at), outcome: 'failed', code };
}

function like(intent: AuditRecord, durationMs: number): Omit<Entry, 'outcome' | 'phase'> {
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
