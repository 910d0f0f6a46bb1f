import type { Cluster } from '../cluster/cluster.ts';
import { isClusterOutage } from '../core/cluster-outage.ts';
import type { Clock } from '../core/clock.ts';
import { AppError, assertNever } from '../core/errors.ts';
import { type Instances, instancesOf } from '../core/instances.ts';
import type { Mapping } from '../core/mapping.ts';
import type { LiveSecret } from '../core/secret.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { isLoss } from '../sync/drift.ts';
import { LABEL } from '../sync/ownership-metadata.ts';
import { mergesIn } from '../sync/merge.ts';
import { isForeign, type Plan } from '../sync/plan.ts';
import { type DecideDeps, type Decision, decideBeforeRecorded, type PendingDecision } from './decide.ts';
import type { ExpectedLoss } from './latest-records.ts';
import type { Outcome, OutcomeKind, Proposal } from './outcome.ts';
import type { Recorder, RecordedState } from './recorder.ts';
import { outcomeDetails } from './outcome-details.ts';
import { applyPlan, dryRunWrite, stillRefused, type WriteJob } from './write.ts';

export interface ReconcileDeps extends DecideDeps {
  readonly cluster: Cluster;
  readonly recorder: Recorder;
  readonly clock: Clock;
  /** Whether a recent list shows that a target does not exist. Left out if there is no list. */
  readonly isMissing?: ((id: TargetId) => boolean) | undefined;
}

export interface ReconcileOptions {
  /** What to do with a target that was only changed by hand. The `sync` command repairs it. */
  readonly drift?: 'repair' | 'report';
  /** The target is new in the configuration, so its absence is not drift. */
  readonly isNew?: boolean;
  /** Called before a write, because the configuration may change while sources are read. Default: still desired. */
  readonly isStillDesired?: (() => boolean) | undefined;
}

/** The number of lost write races before the next run has to decide again. */
const MAX_ATTEMPTS = 3;

/**
 * Brings one target in sync: gather, plan, record the intent, write, record the outcome. Errors of the target or its
 * sources become outcomes. Only an unavailable audit is thrown, because nothing may be written without it.
 */
export async function reconcile(
  mapping: Mapping,
  id: TargetId,
  deps: ReconcileDeps,
  { drift = 'repair', isNew = false, isStillDesired = () => true }: ReconcileOptions = {},
): Promise<Outcome> {
  const { recorder } = deps;
  const restart = deps.cluster.workloads === undefined ? [] : mapping.restart;
  const outcome = (kind: OutcomeKind, decision: Decision, error?: AppError): Outcome => {
    const { plan, live, desired, pinned } = decision;
    return {
      kind,
      mapping: mapping.name,
      target: id,
      keys: plan.keys,
      alive: kind === 'created' || isPresentAndOurs(decision, mapping, deps),
      ...(error === undefined ? {} : { error }),
      ...(pinned === undefined ? {} : { pinned }),
      ...outcomeDetails(plan, live, desired, error === undefined),
    };
  };

  for (let attempt = 1; ; attempt += 1) {
    const { decision, comparison } =
      (attempt === 1 && (await observeMissing(mapping, id, deps))) || (await observe(mapping, id, deps));
    const { plan } = decision;
    if (plan.kind !== 'create' && plan.kind !== 'update' && plan.kind !== 'merge')
      await decision.whenRecorded();
    const current = { live: decision.live, restart };
    const needsRecord = plan.kind !== 'unchanged' && decision.live !== undefined;
    const recorded =
      comparison.recorded ??
      (needsRecord ? await recorder.resolvePrevious(mapping.name, id, current) : undefined);
    const driftReport =
      drift === 'report' && comparison.isDrift && (await reportDrift(id, plan, comparison, isNew, deps));
    if (driftReport) {
      const { kind, error } = driftReport;
      await decision.whenRecorded();
      await recorder.recordFailure(mapping.name, id, { kind, error, keys: plan.keys });
      return { ...outcome(kind, decision, error), ...(kind === 'refused' ? { drifted: true } : {}) };
    }
    switch (plan.kind) {
      case 'unchanged': {
        const { restarts } = await recorder.recordInSync(mapping.name, id, current);
        return { ...outcome('unchanged', decision), ...(restarts ? { restarts } : {}) };
      }
      case 'delete':
      case 'recreate':
      case 'hold':
        return {
          ...outcome('held', decision, new AppError('HELD')),
          proposal: proposalOf(mapping, decision, plan),
        };
      case 'refuse':
      case 'fail': {
        const kind = ({ refuse: 'refused', fail: 'failed' } as const)[plan.kind];
        // The target is known to be missing here: a failed read gives another error code.
        if (plan.error.code === 'SOURCE_ABSENT' && decision.live === undefined)
          await recorder.recordRemoval({ action: 'delete', mapping: mapping.name, target: id });
        await recorder.recordFailure(mapping.name, id, { kind, error: plan.error, keys: plan.keys });
        return outcome(kind, decision, plan.error);
      }
      case 'create':
      case 'update':
      case 'merge': {
        const refused = await stillRefused(recorded?.failed, plan, id, deps.cluster);
        if (!isStillDesired()) {
          await decision.whenRecorded();
          return { ...outcome('unchanged', decision), keys: [] };
        }
        if (refused !== undefined) {
          await decision.whenRecorded();
          await recorder.recordFailure(mapping.name, id, { kind: 'failed', error: refused, keys: plan.keys });
          return outcome('failed', decision, refused);
        }
        const { isDrift: repairs, previousContent } = comparison;
        const job: WriteJob = {
          mapping,
          id,
          attempt,
          isRepair: repairs,
          ...(previousContent === undefined ? {} : { previousContent }),
        };
        const { error, ...written } = await applyPlan(plan, decision, job, deps);
        const restarts = recorded?.restarts || written.restarts;
        if (error === undefined)
          return {
            ...outcome(plan.kind === 'create' ? 'created' : 'updated', decision),
            ...written,
            ...(restarts ? { restarts } : {}),
          };
        if (error.code !== 'CONFLICT') return outcome('failed', decision, error);
        if (attempt < MAX_ATTEMPTS) break;
        await recorder.giveUp(mapping.name, id, error, attempt);
        return outcome('failed', decision, error);
      }
      default:
        assertNever(plan);
    }
  }
}

/** Whether the decision found the target, and it is ours. */
export function isPresentAndOurs(
  { plan, live }: Pick<Decision, 'plan' | 'live'>,
  mapping: Mapping,
  instances: Instances,
): boolean {
  return live !== undefined && !isForeign(plan) && !isUnadopted(plan, live, mapping, instances);
}

/**
 * Whether the takeover of the Secret was refused, for example because of its type. It is not ours until it has been
 * adopted.
 */
function isUnadopted(
  { kind }: Plan,
  { labels }: LiveSecret,
  { target }: Mapping,
  instances: Instances,
): boolean {
  const isLabelled =
    labels[LABEL.mapping] !== undefined && instancesOf(instances).includes(labels[LABEL.instance] ?? '');
  return kind === 'refuse' && target.mode === 'own' && !isLabelled;
}

interface Observation {
  readonly decision: PendingDecision;
  readonly comparison: Comparison;
}

/** @param isSure Whether a missing target is really missing. False for a list, which may be stale. */
async function observe(
  mapping: Mapping,
  id: TargetId,
  deps: ReconcileDeps,
  isSure = true,
): Promise<Observation> {
  const decision = await decideBeforeRecorded(mapping, id, deps);
  return { decision, comparison: await compareWithLastWrite(decision, mapping, id, deps, isSure) };
}

/**
 * Observes a target that a list shows as missing, without reading it. That is enough to create a target that was never
 * written: if it exists, the POST fails and the target is read. In all other cases the target must be read first.
 */
async function observeMissing(
  mapping: Mapping,
  id: TargetId,
  deps: ReconcileDeps,
): Promise<Observation | undefined> {
  if (mapping.target.mode !== 'own' || deps.isMissing?.(id) !== true) return undefined;
  const cluster = { ...deps.cluster, read: async () => undefined };
  const observation = await observe(mapping, id, { ...deps, cluster }, false);
  return observation.decision.plan.kind === 'create' && !observation.comparison.isGone
    ? observation
    : undefined;
}

interface Comparison {
  readonly isDrift: boolean;
  /** Nothing of ours exists, and something did before. */
  readonly isGone?: boolean;
  /** `refused`: a user deleted the obstacle to make room for our target, as the remedy says. */
  readonly expectedLoss?: ExpectedLoss | undefined;
  /** The fingerprint of the previous content, if that is gone. */
  readonly previousContent?: string;
  /** The recorded state, if it was read. */
  readonly recorded?: RecordedState | undefined;
}

/**
 * Whether the planned write would only undo a manual change. For an existing target, its annotations tell. For a
 * missing target, or a merge whose keys are all gone, the audit tells, and it also knows the previous content.
 */
async function compareWithLastWrite(
  { plan, desired, live }: Decision,
  { name }: Mapping,
  id: TargetId,
  { recorder, instance, fingerprints }: ReconcileDeps,
  isSure: boolean,
): Promise<Comparison> {
  const isGone =
    plan.kind === 'create' || (plan.kind === 'merge' && isMergeMissing(plan, { instance, mapping: name }));
  if (!isGone) return { isDrift: 'drift' in plan && plan.drift };
  if (desired.kind !== 'ready') return { isDrift: false };
  // A first sync creates thousands of unrecorded targets, so one query per target must be enough.
  const recorded =
    plan.kind === 'create'
      ? await recorder.resolvePrevious(name, id, { live: undefined, restart: [] })
      : undefined;
  if (recorded?.isUnrecorded) return { isDrift: false, recorded };
  let lastWrite = await recorder.lastWrite(name, id);
  // Our own deletion is not drift, even if it completed late.
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

/**
 * Returns what to report in place of repairing drift. Returns undefined if the target is created anyway: its removal
 * was expected, its namespace was deleted, or it is new in the configuration.
 */
async function reportDrift(
  id: TargetId,
  plan: Plan,
  { expectedLoss, isGone }: Comparison,
  isNew: boolean,
  deps: Pick<ReconcileDeps, 'cluster'>,
): Promise<{ readonly kind: 'failed' | 'refused'; readonly error: AppError } | undefined> {
  if (plan.kind === 'create' && expectedLoss !== 'refused') {
    const missing = await missingNamespace(id, plan, deps);
    if (missing !== undefined) return { kind: 'failed', error: missing };
  }
  if (expectedLoss !== undefined || (isNew && isGone)) return undefined;
  return { kind: 'refused', error: new AppError('DRIFTED', { subject: formatTarget(id) }) };
}

/**
 * Returns an error if the namespace of a missing target is missing too, so the deletion was not drift. Uses a dry run,
 * because reading namespaces would need an extra permission.
 */
async function missingNamespace(
  id: TargetId,
  plan: Extract<Plan, { kind: 'create' }>,
  { cluster }: Pick<ReconcileDeps, 'cluster'>,
): Promise<AppError | undefined> {
  const error = await dryRunWrite(plan, id, cluster);
  return error && (error.code === 'NAMESPACE_MISSING' || isClusterOutage(error)) ? error : undefined;
}

/** Whether nothing of a merge exists: it was never written, or the owner replaced the whole Secret. */
function isMergeMissing(
  { keys, live }: Extract<Plan, { kind: 'merge' }>,
  { instance, mapping }: { readonly instance: string; readonly mapping: string },
): boolean {
  const hasMergeAnnotation = mergesIn(live).some(
    (merge) => merge.instance === instance && merge.mapping === mapping,
  );
  return !hasMergeAnnotation && keys.every(({ name }) => !live.data.has(name));
}

type DestructivePlan = Extract<Plan, { kind: 'delete' | 'recreate' | 'hold' }>;

/** Turns a plan that the job of a target may not apply itself into a proposal. */
export function proposalOf(mapping: Mapping, { desired }: Decision, plan: DestructivePlan): Proposal {
  const { live, keys } = plan;
  const proposal = { mapping: mapping.name, live, keys, held: plan.kind === 'hold' };
  if (plan.kind === 'hold' && plan.ending !== undefined) return { ...proposal, ending: plan.ending };
  if (plan.kind !== 'recreate') return proposal;
  return {
    ...proposal,
    replacement: { mapping, desired, plan: { kind: 'create', keys, manifest: plan.manifest } },
  };
}

/** The outcome of a target that could not be decided. */
export async function recordUndecidable(
  mapping: Mapping,
  id: TargetId,
  error: AppError,
  { recorder }: Pick<ReconcileDeps, 'recorder'>,
): Promise<Outcome> {
  await recorder.recordFailure(mapping.name, id, { kind: 'failed', error });
  return { kind: 'failed', mapping: mapping.name, target: id, keys: [], alive: false, error };
}
