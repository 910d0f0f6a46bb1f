import type { Cluster } from '../cluster/cluster.ts';
import { AppError, isClusterOutage } from '../core/errors.ts';
import type { Mapping } from '../core/mapping.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { isLoss } from '../sync/drift.ts';
import { mergesIn } from '../sync/merge-record.ts';
import type { Plan } from '../sync/plan-types.ts';
import type { DecideDeps, Decision } from './decide.ts';
import type { ExpectedLoss } from './latest-records.ts';
import type { RecordedState, Recorder } from './recorder.ts';
import { dryRunWrite } from './write.ts';

// Detects drift, which is a manual change of a target. A first write and our own deletions are not drift.

type ComparisonDeps = Pick<DecideDeps, 'instance' | 'fingerprints'> & { readonly recorder: Recorder };

export interface Comparison {
  readonly isDrift: boolean;
  /** Whether the target (or our part of it) was written before but does not exist now. */
  readonly isGone?: boolean;
  /**
   * Why the target was expected to disappear. `refused` means that another Secret blocked our target and a user deleted
   * it, as the remedy advises.
   */
  readonly expectedLoss?: ExpectedLoss | undefined;
  /** The fingerprint of the previous content, if the target or our part of it was lost. */
  readonly previousContent?: string;
  /** The recorded state of the target. Set only if the audit was queried. */
  readonly recorded?: RecordedState | undefined;
}

/**
 * Whether the planned write would only undo a manual change. For an existing target, its annotations show this. For a
 * missing target, or a merge whose keys are all gone, the audit shows it, and also contains the fingerprint of the
 * previous content.
 */
export async function compareWithLastWrite(
  { plan, desired, live }: Decision,
  { name }: Mapping,
  id: TargetId,
  { recorder, instance, fingerprints }: ComparisonDeps,
  isSure: boolean,
): Promise<Comparison> {
  const isGone =
    plan.kind === 'create' || (plan.kind === 'merge' && isMergeMissing(plan, { instance, mapping: name }));
  if (!isGone) return { isDrift: 'drift' in plan && plan.drift };
  if (desired.kind !== 'ready') return { isDrift: false };
  // For a target without records, make only one query, because a first sync creates thousands of such targets.
  const recorded =
    plan.kind === 'create'
      ? await recorder.resolvePrevious(name, id, { live: undefined, restart: [] })
      : undefined;
  if (recorded?.isUnrecorded) return { isDrift: false, recorded };
  let lastWrite = await recorder.lastWrite(name, id);
  // Our own deletion is not drift, even if it took effect after it was recorded as failed.
  const removal = { action: 'delete', mapping: name, target: id } as const;
  if (lastWrite !== undefined && isSure && live === undefined && (await recorder.recordRemoval(removal)))
    lastWrite = await recorder.lastWrite(name, id);
  if (lastWrite === undefined) return { isDrift: false, recorded };
  const desiredContent = { data: plan.manifest.data, sources: desired.sources };
  const isDrift = isLoss(lastWrite, id, desiredContent, fingerprints);
  return {
    recorded,
    isGone: true,
    isDrift,
    expectedLoss: isDrift ? await recorder.expectedLoss(name, id) : undefined,
    ...(lastWrite.after === undefined ? {} : { previousContent: lastWrite.after }),
  };
}

/** The error that is recorded if drift is reported and not repaired. */
export interface DriftReport {
  readonly kind: 'failed' | 'refused';
  readonly error: AppError;
}

/**
 * Returns the error to report instead of repairing drift. Returns undefined if the target is to be created anyway,
 * because its loss was expected or because the configuration has only just added it.
 */
export async function reportDrift(
  id: TargetId,
  plan: Plan,
  { expectedLoss, isGone }: Comparison,
  isNew: boolean,
  deps: { readonly cluster: Cluster },
): Promise<DriftReport | undefined> {
  if (plan.kind === 'create' && expectedLoss !== 'refused') {
    const missing = await missingNamespace(id, plan, deps);
    if (missing !== undefined) return { kind: 'failed', error: missing };
  }
  if (expectedLoss !== undefined || (isNew && isGone)) return undefined;
  return { kind: 'refused', error: new AppError('DRIFTED', { subject: formatTarget(id) }) };
}

/**
 * Returns an error if the namespace of a missing target does not exist, because deleting a namespace is not drift. Uses
 * a dry run, because reading namespaces would need an additional permission.
 */
async function missingNamespace(
  id: TargetId,
  plan: Extract<Plan, { kind: 'create' }>,
  { cluster }: { readonly cluster: Cluster },
): Promise<AppError | undefined> {
  const error = await dryRunWrite(plan, id, cluster);
  return error && (error.code === 'NAMESPACE_MISSING' || isClusterOutage(error)) ? error : undefined;
}

/**
 * Whether the Secret contains nothing of a merge. Either the keys were never merged, or another client replaced the
 * whole Secret.
 */
export function isMergeMissing(
  { keys, live }: Extract<Plan, { kind: 'merge' }>,
  { instance, mapping }: { readonly instance: string; readonly mapping: string },
): boolean {
  const hasMergeAnnotation = mergesIn(live).some(
    (merge) => merge.instance === instance && merge.mapping === mapping,
  );
  return !hasMergeAnnotation && keys.every(({ name }) => !live.data.has(name));
}
