import type { EntrySource } from '../audit/entry.ts';
import type { Cluster, MergeResult, WriteOptions } from '../cluster/cluster.ts';
import type { Clock } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-codes.ts';
import { AppError, toAppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { Mapping } from '../core/mapping.ts';
import type { LiveSecret } from '../core/secret.ts';
import type { TargetId } from '../core/target.ts';
import { noTracer, type Tracer } from '../core/tracer.ts';
import { metadataChanges } from '../sync/metadata-changes.ts';
import type { Plan } from '../sync/plan-types.ts';
import { type Change, changesOf, SAME_BYTES, valuesOf } from './change.ts';
import type { Decision, PendingDecision } from './decide.ts';
import type { Recorder } from './recorder.ts';
import { resolveFailedWrite, sourceText, type WriteResult } from './write-verification.ts';

export interface WriteDeps {
  readonly cluster: Cluster;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly fingerprints: Fingerprinter;
  readonly tracer?: Tracer;
}

export interface WriteJob {
  readonly mapping: Mapping;
  readonly id: TargetId;
  readonly attempt: number;
  /** Whether the write undoes a manual change. */
  readonly isRepair: boolean;
  /** The sequence of the request that allows the write. */
  readonly approval?: number | undefined;
  /** The fingerprint of the previous content, if the target or our part of it was lost. */
  readonly previousContent?: string;
  /** Called when the target is written, before the outcome is recorded. */
  readonly onWritten?: () => void;
}

/** A decision. Without `whenRecorded`, the records of its reads are already durable. */
type RecordedDecision = Decision & Partial<Pick<PendingDecision, 'whenRecorded'>>;

export type Data = LiveSecret['data'];
export type WritePlan = Extract<Plan, { kind: 'create' | 'update' | 'merge' }>;

/** Applies a plan: records the intent, writes, and records the outcome. */
export async function applyPlan(
  plan: WritePlan,
  decision: RecordedDecision,
  job: WriteJob,
  deps: WriteDeps,
): Promise<WriteResult> {
  const { cluster, recorder, tracer = noTracer } = deps;
  const described = describeChange(plan, decision, job, deps);
  const change = await tracer.span('intent', {}, () => recordIntent(described, decision, recorder));
  // Another process has used the approval, so it writes the target now.
  if (change === undefined) return { error: new AppError('CONFLICT') };
  try {
    const result = await tracer.span('write', { operation: plan.kind }, () => write(plan, job.id, cluster), {
      resultAttributes: ({ kind }) => ({ outcome: kind }),
    });
    if (result.kind === 'written') {
      const { resourceVersion } = result;
      job.onWritten?.();
      const recorded = tracer.span('outcome', {}, () => recorder.outcome(change, { resourceVersion }));
      return { resourceVersion, ...(await recorded) };
    }
    const error = new AppError(result.kind === 'missing' ? 'SECRET_MISSING' : 'CONFLICT');
    await tracer.span('outcome', { code: error.code }, () => recorder.outcome(change, { error }));
    return { error };
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.code === 'AUDIT_UNAVAILABLE') throw error;
    return resolveFailedWrite(error, change, deps);
  }
}

/**
 * Records the intent, together with the reads whose records are held back. Then waits for the records of the reads,
 * which normally are durable by now. Returns undefined if the approval of the change was used meanwhile.
 */
async function recordIntent(
  change: Change,
  { whenRecorded }: RecordedDecision,
  recorder: Recorder,
): Promise<Change | undefined> {
  const intent = await intentOrClosed(change, recorder);
  if (intent instanceof AppError) {
    await whenRecorded?.();
    return undefined;
  }
  try {
    await whenRecorded?.();
    return intent;
  } catch (error) {
    await recorder.outcome(intent, { error: toAppError(error) });
    throw error;
  }
}

/** Records an intent. Returns the error if the approval of the change was used meanwhile. */
export async function intentOrClosed(
  change: Change,
  recorder: Pick<Recorder, 'intent'>,
): Promise<Change | AppError> {
  try {
    return await recorder.intent(change);
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === 'APPROVAL_CLOSED') return thrown;
    throw thrown;
  }
}

/** The codes of failures that last until somebody fixes the cause. */
const LASTING_CODES: readonly string[] = [
  'NAMESPACE_MISSING',
  'CLUSTER_FORBIDDEN',
  'CLUSTER_REFUSED',
  'CLUSTER_UNAVAILABLE',
] satisfies ErrorCode[];

/**
 * After a failed write, checks with a dry run whether the cluster would still refuse the write. Without this check,
 * every attempt would add two records to the audit, although nothing has changed.
 */
export async function stillRefused(
  failed: string | undefined,
  plan: WritePlan,
  id: TargetId,
  cluster: Cluster,
): Promise<AppError | undefined> {
  return dryRunRefusal(failed, (how) => write(plan, id, cluster, how));
}

/** Does the same as `stillRefused`, for any kind of change. */
export async function dryRunRefusal(
  failed: string | undefined,
  work: (how: WriteOptions) => Promise<unknown>,
): Promise<AppError | undefined> {
  if (!LASTING_CODES.includes(failed ?? '')) return undefined;
  const error = await dryRunError(work);
  return LASTING_CODES.includes(error?.code ?? '') ? error : undefined;
}

/** Returns the error with which the cluster would refuse a write. A dry run does not detect a write conflict. */
export function dryRunWrite(plan: WritePlan, id: TargetId, cluster: Cluster): Promise<AppError | undefined> {
  return dryRunError((how) => write(plan, id, cluster, how));
}

async function dryRunError(work: (how: WriteOptions) => Promise<unknown>): Promise<AppError | undefined> {
  try {
    await work({ dryRun: true });
    return undefined;
  } catch (thrown) {
    return toAppError(thrown);
  }
}

function write(plan: WritePlan, id: TargetId, cluster: Cluster, how?: WriteOptions): Promise<MergeResult> {
  switch (plan.kind) {
    case 'create':
      return cluster.create(id, plan.manifest, how);
    case 'update':
      return cluster.replace(plan.live, plan.change, how);
    default:
      return merge(plan, cluster, how);
  }
}

async function merge(
  { live, first, manifest }: Extract<Plan, { kind: 'merge' }>,
  cluster: Cluster,
  how?: WriteOptions,
): Promise<MergeResult> {
  for (const step of first) {
    const result = await cluster.merge(live, step, how);
    if (result.kind !== 'written') return result;
  }
  return cluster.merge(live, manifest, how);
}

function describeChange(
  plan: WritePlan,
  { desired, live }: Decision,
  { mapping, id, attempt, isRepair, previousContent, approval }: WriteJob,
  { fingerprints, clock, cluster }: WriteDeps,
): Change {
  const [before, after] = dataOf(plan);
  const previous = previousContent ?? (live === undefined ? undefined : fingerprints.target(id, before));
  const isSameContent = !changesBytes(plan, cluster);
  const note = noteOf(plan, isSameContent);
  return {
    action: isRepair ? 'repair' : actionOf(plan),
    mapping: mapping.name,
    target: id,
    attempt,
    sources: desired.kind === 'ready' ? distinct([...desired.sources.values()]) : [],
    keys: changesOf(plan.keys),
    values: valuesOf(plan.keys, plan.kind === 'create' || (plan.kind === 'update' && plan.adopts)),
    startedAt: clock.now(),
    approval,
    ...(previous === undefined ? {} : { before: previous }),
    ...(live === undefined ? {} : { replaces: live.resourceVersion }),
    after: fingerprints.target(id, after),
    ...(note === undefined ? {} : { note }),
    restart: cluster.workloads === undefined || isSameContent ? [] : mapping.restart,
  };
}

/** Returns what a write changes if it changes no data. A merge may only change which of the keys we own. */
function noteOf(plan: WritePlan, isSameContent: boolean): string | undefined {
  const isSameData = plan.keys.every(({ action }) => action === 'keep');
  if (isSameContent && !isSameData) return SAME_BYTES;
  if (!isSameData || plan.kind === 'create') return undefined;
  const changes = plan.kind === 'update' ? metadataChanges(plan.live, plan.change) : ['ownership of keys'];
  return changes.length === 0 ? undefined : changes.join(', ');
}

function actionOf(plan: WritePlan): 'create' | 'update' | 'adopt' {
  if (plan.kind === 'create') return 'create';
  return plan.kind === 'update' && plan.adopts ? 'adopt' : 'update';
}

/**
 * Returns those values of a target that we own, before and after the write. In a foreign Secret, we own only our keys.
 */
function dataOf(plan: WritePlan): readonly [Data, Data] {
  if (plan.kind === 'create') return [new Map(), plan.manifest.data];
  if (plan.kind === 'update') return [plan.live.data, plan.change.data];
  const ownKeys = new Set(plan.keys.filter(({ before }) => before !== undefined).map(({ name }) => name));
  return [new Map([...plan.live.data].filter(([name]) => ownKeys.has(name))), plan.manifest.data];
}

/**
 * Whether the write changes any bytes of the Secret. A merge may leave them unchanged: for a key that others also own
 * with the same value, it only adds or releases our ownership.
 */
function changesBytes(plan: WritePlan, { exclusivelyOwned }: Pick<Cluster, 'exclusivelyOwned'>): boolean {
  if (plan.kind !== 'merge') return true;
  const { live, keys, first, manifest } = plan;
  const alone = new Set(
    exclusivelyOwned(
      live,
      [...first, manifest].map(({ manager }) => manager),
    ).data,
  );
  return keys.some(({ name, action }) => {
    if (action === 'remove') return alone.has(name);
    const desired = manifest.data.get(name);
    return desired !== undefined && live.data.get(name)?.equals(desired) !== true;
  });
}

function distinct(sources: readonly EntrySource[]): readonly EntrySource[] {
  return [...new Map(sources.map((source) => [sourceText(source), source])).values()];
}
