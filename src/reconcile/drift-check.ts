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

// Distinguishes drift, a manual change of a target, from a first write and from our own deletions.

type ComparisonDeps = Pick<DecideDeps, 'instance' | 'fingerprints'> & { readonly recorder: Recorder };

export interface Comparison {
  readonly isDrift: boolean;
  /** The target, or our part of it, was written before and does not exist now. */
  readonly isGone?: boolean;
  /**
   * Why the loss was expected. With `refused`, a user deleted the Secret that blocked our target, as the remedy
   * advises.
   */
  readonly expectedLoss?: ExpectedLoss | undefined;
  /** The fingerprint of the previous content, if that content is lost. */
  readonly previousContent?: string;
  /** The recorded state, if it was read. */
  readonly recorded?: RecordedState | undefined;
}

/**
 * Whether the planned write would only undo a manual change. The annotations of an existing target show that. For a
 * missing target, or a merge whose keys are all gone, the audit shows it. The audit also contains the fingerprint of
 * the previous content.
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
  // A first sync creates thousands of targets without records, so one query per target must be enough.
  const recorded =
    plan.kind === 'create'
      ? await recorder.resolvePrevious(name, id, { live: undefined, restart: [] })
      : undefined;
  if (recorded?.isUnrecorded) return { isDrift: false, recorded };
  let lastWrite = await recorder.lastWrite(name, id);
  // Our own deletion is not drift, even if it completed after it was recorded as failed.
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

/** The error that is recorded for drift instead of a repair. */
export interface DriftReport {
  readonly kind: 'failed' | 'refused';
  readonly error: AppError;
}

/**
 * Returns the error to report instead of repairing drift. Returns undefined if the target is created anyway, because
 * its loss was expected or it is new in the configuration.
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
 * Returns an error if the namespace of a missing target does not exist, because the deletion was then not drift. Uses a
 * dry run, because reading namespaces would need an extra permission.
 */
async function missingNamespace(
  id: TargetId,
  plan: Extract<Plan, { kind: 'create' }>,
  { cluster }: { readonly cluster: Cluster },
): Promise<AppError | undefined> {
  const error = await dryRunWrite(plan, id, cluster);
  return error && (error.code === 'NAMESPACE_MISSING' || isClusterOutage(error)) ? error : undefined;
}

/** Whether nothing of a merge exists: it was never written, or another client replaced the whole Secret. */
function isMergeMissing(
  { keys, live }: Extract<Plan, { kind: 'merge' }>,
  { instance, mapping }: { readonly instance: string; readonly mapping: string },
): boolean {
  const hasMergeAnnotation = mergesIn(live).some(
    (merge) => merge.instance === instance && merge.mapping === mapping,
  );
  return !hasMergeAnnotation && keys.every(({ name }) => !live.data.has(name));
}
