import type { AuditRecord } from '../audit/entry.ts';
import { type AuditStore, pagesOf } from '../audit/store.ts';

// What waits to be restarted stands in the audit alone: an intent without an outcome, from the append that recorded
// the change. Beside it, records without a phase tell of what happened meanwhile: a workload that was rolled for a
// selector, or why it cannot be rolled yet.

/** The restart of one workload, or of those of one selector, for one change of one Secret. */
export interface PendingRestart {
  readonly intent: AuditRecord;
  /** When the change was made, in milliseconds since 1970. */
  readonly at: number;
  /** Those of its workloads that were rolled for it, as records name them. */
  readonly rolled: ReadonlySet<string>;
  /** The code that was recorded last for why it is still pending. */
  readonly code?: string;
}

/** A workload that we rolled. */
export interface Rolled {
  readonly workload: string;
  readonly namespace: string;
  readonly at: number;
  /** The fingerprint of the content that it was rolled for. */
  readonly after?: string | undefined;
}

export interface RestartRecords {
  /** Oldest first. */
  readonly pending: readonly PendingRestart[];
  /** Since `rollsSince`, each workload once, by its latest roll. */
  readonly rolls: readonly Rolled[];
  /** Records before this sequence say nothing that is still needed. */
  readonly floor: number;
}

export interface ScanOptions {
  /** The floor that an earlier look found; 0: none. */
  readonly floor: number;
  /** Milliseconds since 1970: the oldest intent that may still be pending. */
  readonly since: number;
  /** Milliseconds since 1970. */
  readonly rollsSince: number;
  readonly instances: readonly string[];
}

const PAGE = 500;

/** Reads the records of restarts, as far back as needed. */
export async function readRestarts(
  audit: Pick<AuditStore, 'list'>,
  { floor, since, rollsSince, instances }: ScanOptions,
): Promise<RestartRecords> {
  const records = await newest(audit, floor, new Date(since).toISOString());
  const ours = records.filter(({ instance }) => instances.includes(instance)).toReversed();
  const open = new Map<string, { intent: AuditRecord; at: number; rolled: Set<string>; code?: string }>();
  const rolls = new Map<string, Rolled & { sequence: number }>();
  for (const record of ours) {
    const { phase, outcome, note = '', code, namespace = '', after, sequence } = record;
    const key = keyOf(record);
    const at = Date.parse(record.time);
    if (phase === 'intent') {
      open.set(key, { intent: record, at, rolled: new Set() });
      continue;
    }
    const subject = open.get(key);
    if (outcome === 'ok' && (record.counts?.rolled ?? 0) > 0 && at >= rollsSince && !note.includes(' '))
      rolls.set(JSON.stringify([namespace, note]), { workload: note, namespace, at, after, sequence });
    if (phase === 'outcome') open.delete(key);
    else if (outcome === 'ok') subject?.rolled.add(note);
    else if (subject !== undefined && code !== undefined) subject.code = code;
  }
  const needed = [
    ...[...open.values()].map(({ intent }) => intent.sequence),
    ...[...rolls.values()].map(({ sequence }) => sequence),
  ];
  const next = (records[0]?.sequence ?? floor - 1) + 1;
  return {
    pending: [...open.values()],
    rolls: [...rolls.values()],
    floor: Math.min(next, ...needed),
  };
}

async function newest(
  audit: Pick<AuditStore, 'list'>,
  floor: number,
  since: string,
): Promise<readonly AuditRecord[]> {
  const found: AuditRecord[] = [];
  for await (const page of pagesOf(audit, { action: 'restart', since }, PAGE)) {
    found.push(...page.filter(({ sequence }) => sequence >= floor));
    if ((page.at(-1)?.sequence ?? floor) <= floor) break;
  }
  return found;
}

/** As an outcome belongs to its intent; and the fingerprint, since one request may change a Secret twice. */
function keyOf({ requestId, mapping, namespace, secret, attempt, after }: AuditRecord): string {
  return JSON.stringify([requestId, mapping, namespace, secret, attempt, after]);
}
