import type { AuditRecord } from '../audit/entry.ts';
import { type AuditStore, pagesOf, type RecordFilter } from '../audit/store.ts';
import type { Clock } from '../core/clock.ts';
import { leavesNone, mayDestroy } from '../sync/brake.ts';
import type { Proposal } from './outcome.ts';

export interface BrakeDeps {
  readonly audit: Pick<AuditStore, 'list'>;
  readonly clock: Clock;
  readonly brake: { readonly share: number; readonly windowMs: number };
  /** This one and those that it was before: others that share the audit have a brake of their own. */
  readonly instances: readonly string[];
}

export interface Population {
  /** Targets of the instance. */
  readonly total: number;
  /** Those of them that are there. */
  readonly alive: number;
  /** What others propose and nobody has released: it counts, and stays as it is. */
  readonly elsewhere?: number;
  /** What was destroyed, and is not on record yet. */
  readonly unrecorded?: number;
}

const PAGE = 500;

/** Why the brake holds all of them; `undefined`: they may go now. */
export async function whyBraked(
  proposals: readonly Pick<Proposal, 'replacement'>[],
  { total, alive, elsewhere = 0, unrecorded = 0 }: Population,
  { audit, clock, brake, instances }: BrakeDeps,
): Promise<string | undefined> {
  if (proposals.length === 0) return undefined;
  // What is created anew at once counts as destroyed, and still never leaves the last one gone.
  const returning = proposals.filter(({ replacement }) => replacement !== undefined).length;
  const now = { proposed: proposals.length + elsewhere, alive: alive + returning };
  if (leavesNone(now)) return 'no target would be left, and the last one never goes by itself';
  const since = new Date(clock.now() - brake.windowMs).toISOString();
  const counts = await Promise.all(instances.map((instance) => countDestroyed(audit, instance, since)));
  const destroyed = counts.reduce((sum, count) => sum + count, unrecorded);
  return mayDestroy({ ...now, destroyed, total, share: brake.share })
    ? undefined
    : 'more would be destroyed at once than `brake` allows';
}

async function countDestroyed(
  audit: Pick<AuditStore, 'list'>,
  instance: string,
  since: string,
): Promise<number> {
  const done = { phase: 'outcome', outcome: 'ok', since, instance } as const;
  const deleted = await countOf(audit, { ...done, action: 'delete' }, () => true);
  return deleted + (await countOf(audit, { ...done, action: 'update' }, isEndOfMerge));
}

/** By that it left nothing there. */
export function isEndOfMerge({ after, keys }: AuditRecord): boolean {
  return after === undefined && keys.added.length + keys.changed.length === 0 && keys.removed.length > 0;
}

async function countOf(
  audit: Pick<AuditStore, 'list'>,
  filter: RecordFilter,
  counts: (record: AuditRecord) => boolean,
): Promise<number> {
  let count = 0;
  for await (const page of pagesOf(audit, filter, PAGE)) count += page.filter(counts).length;
  return count;
}
