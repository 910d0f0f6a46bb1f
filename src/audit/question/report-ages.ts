import type { AuditStore } from '../store.ts';

/** A source, and after how long it must have changed. */
export interface SourceAge {
  readonly store: string;
  readonly key: string;
  readonly maxAgeMs: number;
}

export interface OldSource {
  readonly store: string;
  readonly key: string;
  readonly version: string;
  /** RFC 3339: when this version was first read; it may be older. */
  readonly since: string;
  readonly days: number;
  readonly maxDays: number;
}

const DAY_MS = 86_400_000;

/**
 * The sources whose present version was first seen longer ago than they may last, the oldest first. The records
 * tell when we saw a version, not when it was made: so an old one that is new to us is not found.
 */
export async function oldSources(
  audit: Pick<AuditStore, 'list' | 'latest'>,
  ages: readonly SourceAge[],
  until: string,
): Promise<readonly OldSource[]> {
  const strictest = new Map<string, SourceAge>();
  for (const age of ages) {
    const id = JSON.stringify([age.store, age.key]);
    if (age.maxAgeMs < (strictest.get(id)?.maxAgeMs ?? Number.POSITIVE_INFINITY)) strictest.set(id, age);
  }
  const old: OldSource[] = [];
  for (const { store, key, maxAgeMs } of strictest.values()) {
    const of = { store, key, outcome: 'ok', until } as const;
    const latest = await audit.latest(of, ['read']);
    const version = latest?.sources[0]?.version;
    if (version === undefined) continue;
    const [first = latest] = await audit.list({ ...of, version, action: 'read' }, { limit: 1, after: 0 });
    if (first === undefined) continue;
    const age = Date.parse(until) - Date.parse(first.time);
    if (age <= maxAgeMs) continue;
    const days = (ms: number): number => Math.floor(ms / DAY_MS);
    old.push({ store, key, version, since: first.time, days: days(age), maxDays: days(maxAgeMs) });
  }
  return old.sort((a, b) => Date.parse(a.since) - Date.parse(b.since));
}
