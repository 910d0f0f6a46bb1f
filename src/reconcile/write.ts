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
import type { Plan } from '../sync/plan.ts';
import { type Change, changesOf, SAME_BYTES, valuesOf } from './change.ts';
import type { Decision, Unrecorded } from './decide.ts';
import type { Recorder } from './recorder.ts';
import { afterFailedWrite, sourceText, type Written } from './sighting.ts';

export interface WriteDeps {
  readonly cluster: Cluster;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly fingerprints: Fingerprinter;
  readonly tracer?: Tracer;
}

export interface Write {
  readonly mapping: Mapping;
  readonly id: TargetId;
  readonly attempt: number;
  /** It undoes a change by hand. */
  readonly repairs: boolean;
  /** The fingerprint of what we held of the target, where that is gone by now. */
  readonly held?: string;
}

/** Left out: its reads are on record. */
type Readily = Decision & Partial<Pick<Unrecorded, 'recorded'>>;

export type Data = LiveSecret['data'];
export type Writing = Extract<Plan, { kind: 'create' | 'update' | 'merge' }>;

/** One write between its two records. */
export async function carryOut(
  plan: Writing,
  decision: Readily,
  job: Write,
  deps: WriteDeps,
): Promise<Written> {
  const { cluster, recorder, tracer = noTracer } = deps;
  const described = describeChange(plan, decision, job, deps);
  const change = await tracer.span('intent', {}, () => begin(described, decision, recorder));
  try {
    const result = await tracer.span('write', { operation: plan.kind }, () => write(plan, job.id, cluster), {
      ends: ({ kind }) => ({ outcome: kind }),
    });
    if (result.kind === 'written') {
      const { resourceVersion } = result;
      const noted = tracer.span('outcome', {}, () => recorder.outcome(change, { resourceVersion }));
      return { resourceVersion, ...(await noted) };
    }
    const error = new AppError(result.kind === 'missing' ? 'SECRET_MISSING' : 'CONFLICT');
    await tracer.span('outcome', { code: error.code }, () => recorder.outcome(change, { error }));
    return { error };
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.code === 'AUDIT_UNAVAILABLE') throw error;
    return afterFailedWrite(error, change, deps);
  }
}

/** The intent stands behind the records of what was read for it, so that one wait for the disk is enough for both. */
async function begin(change: Change, { recorded }: Readily, recorder: Recorder): Promise<Change> {
  const [intent, reads] = await Promise.allSettled([recorder.intent(change), recorded?.()]);
  if (intent.status === 'rejected') throw intent.reason;
  if (reads.status === 'fulfilled') return intent.value;
  await recorder.outcome(intent.value, { error: toAppError(reads.reason) });
  throw reads.reason;
}

/** Codes of what the cluster refuses for as long as nobody has mended it. */
const LASTING: readonly string[] = [
  'NAMESPACE_MISSING',
  'CLUSTER_FORBIDDEN',
  'CLUSTER_REFUSED',
  'CLUSTER_UNAVAILABLE',
] satisfies ErrorCode[];

/**
 * Why a write would fail as the last one did. Each that is tried is on record twice, although nothing has begun, changed or
 * ended: so after one that failed the cluster is asked first, without a change.
 */
export async function stillRefused(
  failed: string | undefined,
  plan: Writing,
  id: TargetId,
  cluster: Cluster,
): Promise<AppError | undefined> {
  return refusedAgain(failed, (how) => write(plan, id, cluster, how));
}

/** The same of any change. */
export async function refusedAgain(
  failed: string | undefined,
  work: (how: WriteOptions) => Promise<unknown>,
): Promise<AppError | undefined> {
  if (!LASTING.includes(failed ?? '')) return undefined;
  const error = await failureOf(work);
  return LASTING.includes(error?.code ?? '') ? error : undefined;
}

/** Why the cluster would refuse a write. That somebody else was faster only the write itself tells. */
export function rehearse(plan: Writing, id: TargetId, cluster: Cluster): Promise<AppError | undefined> {
  return failureOf((how) => write(plan, id, cluster, how));
}

async function failureOf(work: (how: WriteOptions) => Promise<unknown>): Promise<AppError | undefined> {
  try {
    await work({ dryRun: true });
    return undefined;
  } catch (thrown) {
    return toAppError(thrown);
  }
}

function write(plan: Writing, id: TargetId, cluster: Cluster, how?: WriteOptions): Promise<MergeResult> {
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
  plan: Writing,
  { desired, live }: Decision,
  { mapping, id, attempt, repairs, held }: Write,
  { fingerprints, clock, cluster }: WriteDeps,
): Change {
  const [before, after] = dataOf(plan);
  const previous = held ?? (live === undefined ? undefined : fingerprints.target(id, before));
  const isSame = !changesBytes(plan, cluster);
  const isNoted = isSame && plan.keys.some(({ action }) => action !== 'keep');
  return {
    action: repairs ? 'repair' : actionOf(plan),
    mapping: mapping.name,
    target: id,
    attempt,
    sources: desired.kind === 'ready' ? distinct([...desired.sources.values()]) : [],
    keys: changesOf(plan.keys),
    values: valuesOf(plan.keys, plan.kind === 'create' || (plan.kind === 'update' && plan.adopts)),
    startedAt: clock.now(),
    ...(previous === undefined ? {} : { before: previous }),
    ...(live === undefined ? {} : { replaces: live.resourceVersion }),
    after: fingerprints.target(id, after),
    ...(isNoted ? { note: SAME_BYTES } : {}),
    restart: cluster.workloads === undefined || isSame ? [] : mapping.restart,
  };
}

function actionOf(plan: Writing): 'create' | 'update' | 'adopt' {
  if (plan.kind === 'create') return 'create';
  return plan.kind === 'update' && plan.adopts ? 'adopt' : 'update';
}

/** What we hold of a target before and after; of a Secret of somebody else that is our keys alone. */
function dataOf(plan: Writing): readonly [Data, Data] {
  if (plan.kind === 'create') return [new Map(), plan.manifest.data];
  if (plan.kind === 'update') return [plan.live.data, plan.change.data];
  const ours = new Set(plan.keys.filter(({ before }) => before !== undefined).map(({ name }) => name));
  return [new Map([...plan.live.data].filter(([name]) => ours.has(name))), plan.manifest.data];
}

/**
 * Whether the Secret has other bytes afterwards. A key that a merge takes up or lets go of, and that others hold with the
 * same value, is what pods have read all along.
 */
function changesBytes(plan: Writing, { heldAlone }: Pick<Cluster, 'heldAlone'>): boolean {
  if (plan.kind !== 'merge') return true;
  const { live, keys, first, manifest } = plan;
  const alone = new Set(
    heldAlone(
      live,
      [...first, manifest].map(({ manager }) => manager),
    ).data,
  );
  return keys.some(({ name, action }) => {
    if (action === 'remove') return alone.has(name);
    const wanted = manifest.data.get(name);
    return wanted !== undefined && live.data.get(name)?.equals(wanted) !== true;
  });
}

function distinct(sources: readonly EntrySource[]): readonly EntrySource[] {
  return [...new Map(sources.map((source) => [sourceText(source), source])).values()];
}
