import { findLastBreak, firstSequenceSince } from '../audit/decisions.ts';
import { type AuditRecord, NO_KEYS } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Clock } from '../core/clock.ts';
import { allowedDeletions, leavesNoTarget, mayDestroy } from '../sync/absence.ts';
import type { Proposal } from './outcome.ts';

export interface BrakeDeps {
  readonly audit: Pick<AuditStore, 'list' | 'storedRecords' | 'head' | 'base'>;
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
  const recorded = await countDestroyed(audit, instances, since);
  if (recorded === undefined)
    return 'records within the window of `brake` were altered or removed, so recent deletions cannot be counted';
  const destroyed = recorded + unrecorded;
  const { share } = brake;
  return mayDestroy({ ...step, destroyed, total, share })
    ? undefined
    : excessText(step.proposed, destroyed, allowedDeletions({ share, total }));
}

function excessText(proposed: number, destroyed: number, allowed: number): string {
  const before = destroyed === 0 ? '' : ` after ${destroyed} deleted`;
  return `${proposed} ${proposed === 1 ? 'target' : 'targets'} to delete${before}, but \`brake\` allows ${allowed} within its \`window\``;
}

/**
 * Counts the recorded deletions since a time. Reads all records since then, because somebody with access to the
 * database could hide a deletion from a search. Undefined if records are missing.
 */
async function countDestroyed(
  audit: BrakeDeps['audit'],
  instances: readonly string[],
  since: string,
): Promise<number | undefined> {
  let count = 0;
  const from = await firstSequenceSince(audit, since);
  if (from > (await audit.head()).sequence) return 0;
  const broken = await findLastBreak(audit, from, (record) => {
    const { action, phase, outcome, instance, time } = record;
    const isOurs = phase === 'outcome' && outcome === 'ok' && instances.includes(instance);
    const isRemoval = action === 'delete' || (action === 'update' && isMergeEnd(record));
    if (isOurs && isRemoval && Date.parse(time) >= Date.parse(since)) count += 1;
  });
  return broken === undefined ? count : undefined;
}

/** Whether the record is an update that removed all our keys from a Secret. */
export function isMergeEnd({ after, keys }: AuditRecord): boolean {
  // The record may be forged, so its members may have any type.
  const { added, changed, removed } = { ...NO_KEYS, ...keys };
  const isEmpty = (names: unknown): boolean => Array.isArray(names) && names.length === 0;
  return (
    after === undefined && isEmpty(added) && isEmpty(changed) && Array.isArray(removed) && !isEmpty(removed)
  );
}
