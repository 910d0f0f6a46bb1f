import type { Cluster } from '../cluster/cluster.ts';
import { AppError, toAppError } from '../core/errors.ts';
import type { TargetId } from '../core/target.ts';
import type { ApprovalGate } from './approvals.ts';
import type { DecideDeps, Decision } from './decide.ts';
import type { WindowDeps } from './guard.ts';
import type { Proposal } from './outcome.ts';
import { type DesiredTarget, decideTarget } from './targets.ts';
import { dryRunWrite } from './write.ts';

export interface PreviewDeps extends DecideDeps, WindowDeps {
  readonly cluster: Cluster;
  readonly approvals: ApprovalGate;
}

/** Decides about a target as a sync does, and changes nothing. */
export async function previewTarget(desired: DesiredTarget, deps: PreviewDeps): Promise<Decision> {
  return withDryRun(await decideTarget(desired, deps), desired.id, deps.cluster);
}

/**
 * Tries a write as a dry run, and returns the decision with the error, if there is one. Only the cluster knows whether it
 * accepts a write: the namespace may be missing, or a quota, a policy or a Role may refuse the write.
 */
export async function withDryRun(decision: Decision, id: TargetId, cluster: Cluster): Promise<Decision> {
  const { plan } = decision;
  if (plan.kind !== 'create' && plan.kind !== 'update' && plan.kind !== 'merge') return decision;
  const error = await dryRunWrite(plan, id, cluster);
  return error === undefined ? decision : { ...decision, plan: { kind: 'fail', keys: plan.keys, error } };
}

/** Returns the error with which the cluster would refuse a deletion, a replacement, or the end of a merge. */
export async function previewRemoval(
  { live, ending, replacement }: Proposal,
  cluster: Cluster,
): Promise<AppError | undefined> {
  if (replacement !== undefined) return dryRunWrite(replacement.plan, live.id, cluster);
  try {
    const how = { dryRun: true };
    const { kind } = await (ending === undefined
      ? cluster.remove(live, how)
      : cluster.merge(live, ending, how));
    return kind === 'conflict' ? new AppError('CONFLICT') : undefined;
  } catch (thrown) {
    return toAppError(thrown);
  }
}
