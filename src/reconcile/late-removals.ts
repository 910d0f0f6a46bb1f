import type { AuditStore } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { AppError, MAX_UNANSWERED_CALLS } from '../core/errors.ts';
import { mapConcurrently } from '../core/semaphore.ts';
import { formatTarget } from '../core/target.ts';
import type { BrakeDeps } from './brake.ts';
import type { Removal } from './change.ts';
import { lateRemoval, possibleLateRemovals } from './late-writes.ts';
import type { Recorder } from './recorder.ts';
import { verifyWrite } from './write-verification.ts';

// Removals that took effect after they were recorded as failed. The brake must count them.

/** Returns the failed removals within the window of the brake. */
export function possiblyLateRemovals({
  audit,
  clock,
  brake,
  instances,
}: BrakeDeps): Promise<readonly Removal[]> {
  const since = new Date(clock.now() - brake.windowMs).toISOString();
  return possibleLateRemovals(audit, since, instances);
}

/**
 * Returns the number of removals that took effect after they were recorded as failed. The next deletion step will
 * record their outcomes.
 */
export async function countLateRemovals(
  deps: BrakeDeps & { readonly audit: Pick<AuditStore, 'latest'>; readonly cluster: Pick<Cluster, 'read'> },
): Promise<number> {
  const { made: applied } = await findLateRemovals(await possiblyLateRemovals(deps), deps);
  const entries = await Promise.all(
    applied.map((removal) => lateRemoval(deps.audit, removal, deps.instances)),
  );
  return entries.filter((entry) => entry !== undefined).length;
}

/**
 * Records the outcomes of removals that took effect after they were recorded as failed. The next deletion step checks
 * the targets that cannot be read now. If the cluster is unavailable, returns an error, because the brake cannot count
 * such removals.
 */
export async function recordLateRemovals(
  removals: readonly Removal[],
  {
    cluster,
    recorder,
  }: { readonly cluster: Pick<Cluster, 'read'>; readonly recorder: Pick<Recorder, 'recordRemoval'> },
): Promise<AppError | undefined> {
  const { made: applied, away } = await findLateRemovals(removals, { cluster });
  for (const removal of applied) await recorder.recordRemoval(removal);
  return away;
}

async function findLateRemovals(
  removals: readonly Removal[],
  { cluster }: { readonly cluster: Pick<Cluster, 'read'> },
): Promise<{ readonly made: readonly Removal[]; readonly away: AppError | undefined }> {
  let away: AppError | undefined;
  const lookups = await lookUpEach(removals, async (removal) => {
    const verification = await verifyWrite({ ...removal, sources: [] }, cluster);
    if (verification.kind !== 'unknown' || !verification.isAway) return verification;
    away = new AppError('CLUSTER_UNAVAILABLE', { subject: formatTarget(removal.target) });
    return 'away';
  });
  return { made: removals.filter((_, index) => lookups[index]?.kind === 'applied'), away };
}

/** The number of concurrent reads. */
const READS = 16;

/**
 * Looks up the items concurrently. Returns the results in their order. Stops after several reads without an answer.
 */
export async function lookUpEach<In, Out>(
  items: readonly In[],
  lookUp: (item: In) => Promise<Out | 'away'>,
): Promise<readonly (Out | undefined)[]> {
  let unanswered = 0;
  return mapConcurrently(items, READS, async (item) => {
    if (unanswered >= MAX_UNANSWERED_CALLS) return undefined;
    const result = await lookUp(item);
    unanswered = result === 'away' ? unanswered + 1 : 0;
    return result === 'away' ? undefined : result;
  });
}
