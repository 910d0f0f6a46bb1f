import type { AuditStore } from '../store.ts';

/** A source and its maximum age: how long one version may stay current. */
export interface SourceMaxAge {
  readonly store: string;
  readonly key: string;
  readonly maxAgeMs: number;
}

export interface OverdueSource {
  readonly store: string;
  readonly key: string;
  readonly version: string;
  /** When this version was first read, in RFC 3339 format. The store may have created the version earlier. */
  readonly since: string;
  readonly days: number;
  readonly maxDays: number;
}

const DAY_MS = 86_400_000;

/**
 * Returns the sources whose current version was first read too long ago, oldest first. Records contain the time when a
 * version was read, not when it was created. An old version is therefore not reported if it was first read recently.
 */
export async function overdueSources(
  audit: Pick<AuditStore, 'list' | 'latest'>,
  ages: readonly SourceMaxAge[],
  until: string,
): Promise<readonly OverdueSource[]> {
  const strictest = new Map<string, SourceMaxAge>();
  for (const age of ages) {
    const id = JSON.stringify([age.store, age.key]);
    if (age.maxAgeMs < (strictest.get(id)?.maxAgeMs ?? Number.POSITIVE_INFINITY)) strictest.set(id, age);
  }
  const overdue: OverdueSource[] = [];
  for (const { store, key, maxAgeMs } of strictest.values()) {
    const filter = { store, key, outcome: 'ok', until } as const;
    const latest = await audit.latest(filter, ['read']);
    const version = latest?.sources[0]?.version;
    if (version === undefined) continue;
    const [first = latest] = await audit.list({ ...filter, version, action: 'read' }, { limit: 1, after: 0 });
    if (first === undefined) continue;
    const age = Date.parse(until) - Date.parse(first.time);
    if (age <= maxAgeMs) continue;
    const days = (ms: number): number => Math.floor(ms / DAY_MS);
    overdue.push({ store, key, version, since: first.time, days: days(age), maxDays: days(maxAgeMs) });
  }
  return overdue.sort((a, b) => Date.parse(a.since) - Date.parse(b.since));
}
