import type { AuditRecord } from '../audit/entry.ts';
import { type AuditStore, pagesOf, type RecordFilter } from '../audit/store.ts';
import type { Clock } from '../core/clock.ts';
import { leavesNoTarget, mayDestroy } from '../sync/absence.ts';
import type { Proposal } from './outcome.ts';

export interface BrakeDeps {
  readonly audit: Pick<AuditStore, 'list'>;
  readonly clock: Clock;
  readonly brake: { readonly share: number; readonly windowMs: number };
  /** The current instance name and the former ones. If other instances share the audit, they have their own brake. */
  readonly instances: readonly string[];
}

export interface Population {
  /** The number of all targets of the instance. */
  readonly total: number;
  /** The number of targets that exist. */
  readonly alive: number;
  /**
   * The number of other pending deletions, such as held ones. This deletion step does not carry them out, but the brake
   * counts them.
   */
  readonly proposedElsewhere?: number;
  /** The number of targets that were destroyed, although the audit does not contain their deletion yet. */
  readonly unrecorded?: number;
}

const PAGE = 500;

/** Returns the reason why the brake holds all proposals, or `undefined` if they may be carried out now. */
export async function brakeReason(
  proposals: readonly Pick<Proposal, 'replacement'>[],
  { total, alive, proposedElsewhere = 0, unrecorded = 0 }: Population,
  { audit, clock, brake, instances }: BrakeDeps,
): Promise<string | undefined> {
  if (proposals.length === 0) return undefined;
  // A replaced target is destroyed and created again. So it counts both as destroyed and as existing.
  const returning = proposals.filter(({ replacement }) => replacement !== undefined).length;
  const step = { proposed: proposals.length + proposedElsewhere, alive: alive + returning };
  if (leavesNoTarget(step)) return 'no target would be left; the last target is never deleted automatically';
  const since = new Date(clock.now() - brake.windowMs).toISOString();
  const counts = await Promise.all(instances.map((instance) => countDestroyed(audit, instance, since)));
  const destroyed = counts.reduce((sum, count) => sum + count, unrecorded);
  return mayDestroy({ ...step, destroyed, total, share: brake.share })
    ? undefined
    : 'more would be destroyed at once than `brake` allows';
}

async function countDestroyed(
  audit: Pick<AuditStore, 'list'>,
  instance: string,
  since: string,
): Promise<number> {
  const successful = { phase: 'outcome', outcome: 'ok', since, instance } as const;
  const deleted = await countRecords(audit, { ...successful, action: 'delete' }, () => true);
  return deleted + (await countRecords(audit, { ...successful, action: 'update' }, isMergeEnd));
}

/** Whether the record is an update that removed all our keys from a Secret. */
export function isMergeEnd({ after, keys }: AuditRecord): boolean {
  return after === undefined && keys.added.length + keys.changed.length === 0 && keys.removed.length > 0;
}

async function countRecords(
  audit: Pick<AuditStore, 'list'>,
  filter: RecordFilter,
  counts: (record: AuditRecord) => boolean,
): Promise<number> {
  let count = 0;
  for await (const page of pagesOf(audit, filter, PAGE)) count += page.filter(counts).length;
  return count;
}
