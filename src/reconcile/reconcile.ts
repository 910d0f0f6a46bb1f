import type { Cluster } from '../cluster/cluster.ts';
import { AppError, assertNever } from '../core/errors.ts';
import type { Mapping } from '../core/mapping.ts';
import type { Instances, TargetId } from '../core/target.ts';
import type { Plan } from '../sync/plan-types.ts';
import type { ApprovalGate } from './approvals.ts';
import { type DecideDeps, type Decision, isPresentAndOurs, type PendingDecision } from './decide.ts';
import { type Comparison, type DriftReport, reportDrift } from './drift-check.ts';
import { closedWindow, type Guarded, guardChange, type Postponed, type WindowDeps } from './guard.ts';
import { type Observation, observe, observeMissing } from './observe.ts';
import { type Outcome, type OutcomeKind, outcomeDetails, type Proposal } from './outcome.ts';
import type { RecordedState, Recorder } from './recorder.ts';
import { applyPlan, stillRefused, type WritePlan } from './write.ts';

export interface ReconcileDeps extends DecideDeps, WindowDeps {
  readonly cluster: Cluster;
  readonly recorder: Recorder;
  readonly approvals: ApprovalGate;
  /** Returns an error if the run must not make this change, because it is not in the saved plan. */
  readonly unplanned?:
    | ((mapping: string, id: TargetId, decision: Decision) => AppError | undefined)
    | undefined;
  /** Whether a recent list of Secrets shows that a target does not exist. Absent if there is no such list. */
  readonly isMissing?: ((id: TargetId) => boolean) | undefined;
}

export interface ReconcileOptions {
  /** What to do with a target that differs only by manual changes. The `sync` command always repairs it. */
  readonly drift?: 'repair' | 'report';
  /** Whether the target is new in the configuration. Then it is not drift if the target does not exist. */
  readonly isNew?: boolean;
  /**
   * Returns whether the target is still desired. It is called before a write, because the configuration may change
   * while sources are read. It may throw, which ends the run. Defaults to true.
   */
  readonly isStillDesired?: () => boolean;
  /** Called when the target is written, before the outcome is recorded. */
  readonly onWritten?: () => void;
}

/** The maximum number of write conflicts in one run. After that, the target is left to the next run. */
const MAX_ATTEMPTS = 3;

/** One attempt to sync a target. */
interface Attempt extends Required<ReconcileOptions> {
  readonly mapping: Mapping;
  readonly id: TargetId;
  /** The number of the attempt, starting at 1. */
  readonly attempt: number;
  /** The workloads to restart if the content changes. */
  readonly restart: Mapping['restart'];
}

/**
 * Syncs one target: gathers the sources, plans, records the intent, applies the plan, and records the outcome. Errors
 * of the target or its sources become outcomes. Throws if the audit is unavailable, because nothing may be written
 * without a record.
 */
export async function reconcile(
  mapping: Mapping,
  id: TargetId,
  deps: ReconcileDeps,
  {
    drift = 'repair',
    isNew = false,
    isStillDesired = () => true,
    onWritten = () => undefined,
  }: ReconcileOptions = {},
): Promise<Outcome> {
  const restart = deps.cluster.workloads === undefined ? [] : mapping.restart;
  for (let attempt = 1; ; attempt += 1) {
    const run = { mapping, id, attempt, restart, drift, isNew, isStillDesired, onWritten };
    const observation =
      (attempt === 1 && (await observeMissing(mapping, id, deps))) || (await observe(mapping, id, deps));
    const outcome =
      (await refuseUnplanned(run, observation, deps)) ?? (await carryOut(run, observation, deps));
    if (outcome !== undefined) return outcome;
  }
}

const NO_CHANGE: readonly Plan['kind'][] = ['unchanged', 'refuse', 'fail'];

/** Records and returns the outcome of a change that the run must not make. Undefined if it may make the change. */
async function refuseUnplanned(run: Attempt, { decision }: Observation, deps: ReconcileDeps) {
  if (NO_CHANGE.includes(decision.plan.kind)) return undefined;
  const error = deps.unplanned?.(run.mapping.name, run.id, decision);
  return error && postpone({ kind: 'refused', error }, run, decision, deps);
}

/**
 * Carries out the plan. Returns undefined if another client changed the target meanwhile. The caller then plans again.
 */
async function carryOut(
  run: Attempt,
  { decision, comparison }: Observation,
  deps: ReconcileDeps,
): Promise<Outcome | undefined> {
  const { plan } = decision;
  const isWrite = plan.kind === 'create' || plan.kind === 'update' || plan.kind === 'merge';
  // For a write, the records of the reads are awaited together with its intent, so that one fsync makes all of them
  // durable.
  if (!isWrite) await decision.whenRecorded();
  const recorded = comparison.recorded ?? (await recordedState(run, decision, deps));
  const drift = await driftToReport(run, plan, comparison, deps);
  if (drift !== undefined) return refuseDrift(run, decision, drift, deps);
  switch (plan.kind) {
    case 'unchanged': {
      const current = { live: decision.live, restart: run.restart };
      const { restarts } = await deps.recorder.recordInSync(run.mapping.name, run.id, current);
      return { ...outcomeOf('unchanged', run, decision, deps), ...(restarts ? { restarts } : {}) };
    }
    case 'delete':
    case 'recreate':
    case 'hold': {
      const closed =
        plan.kind === 'hold'
          ? undefined
          : closedWindow({ mapping: run.mapping.name, namespace: run.id.namespace, isExempt: false }, deps);
      if (closed !== undefined) return postpone({ kind: 'waiting', error: closed }, run, decision, deps);
      const proposal = proposalOf(run.mapping, decision, plan);
      return { ...outcomeOf('held', run, decision, deps, new AppError('HELD')), proposal };
    }
    case 'refuse':
    case 'fail':
      return refuse(run, decision, plan, deps);
    case 'create':
    case 'update':
    case 'merge':
      return write(run, { plan, decision, comparison, recorded }, deps);
    default:
      return assertNever(plan);
  }
}

/** Returns the recorded state of an existing target, if the target needs a change. */
async function recordedState(
  { mapping, id, restart }: Attempt,
  { plan, live }: Decision,
  { recorder }: ReconcileDeps,
): Promise<RecordedState | undefined> {
  if (plan.kind === 'unchanged' || live === undefined) return undefined;
  return recorder.resolvePrevious(mapping.name, id, { live, restart });
}

async function driftToReport(
  { drift, id, isNew }: Attempt,
  plan: Plan,
  comparison: Comparison,
  deps: ReconcileDeps,
): Promise<DriftReport | undefined> {
  if (drift !== 'report' || !comparison.isDrift) return undefined;
  return reportDrift(id, plan, comparison, isNew, deps);
}

async function refuseDrift(
  run: Attempt,
  decision: PendingDecision,
  { kind, error }: DriftReport,
  deps: ReconcileDeps,
): Promise<Outcome> {
  await decision.whenRecorded();
  const { keys } = decision.plan;
  await deps.recorder.recordFailure(run.mapping.name, run.id, { kind, error, keys });
  const outcome = outcomeOf(kind, run, decision, deps, error);
  return kind === 'refused' ? { ...outcome, drifted: true } : outcome;
}

async function refuse(
  run: Attempt,
  decision: Decision,
  { kind: planKind, error, keys }: Extract<Plan, { kind: 'refuse' | 'fail' }>,
  deps: ReconcileDeps,
): Promise<Outcome> {
  const { recorder } = deps;
  const { mapping, id } = run;
  const kind = planKind === 'refuse' ? 'refused' : 'failed';
  // With this code, the target was read successfully and does not exist. A failed read has another code.
  if (error.code === 'SOURCE_ABSENT' && decision.live === undefined)
    await recorder.recordRemoval({ action: 'delete', mapping: mapping.name, target: id });
  await recorder.recordFailure(mapping.name, id, { kind, error, keys });
  return outcomeOf(kind, run, decision, deps, error);
}

interface Write {
  readonly plan: WritePlan;
  readonly decision: PendingDecision;
  readonly comparison: Comparison;
  readonly recorded: RecordedState | undefined;
}

async function write(
  run: Attempt,
  { plan, decision, comparison, recorded }: Write,
  deps: ReconcileDeps,
): Promise<Outcome | undefined> {
  const { recorder, cluster } = deps;
  const { mapping, id, attempt } = run;
  const refused = await stillRefused(recorded?.failed, plan, id, cluster);
  if (!run.isStillDesired()) {
    await decision.whenRecorded();
    return { ...outcomeOf('unchanged', run, decision, deps), keys: [] };
  }
  if (refused !== undefined) {
    await decision.whenRecorded();
    await recorder.recordFailure(mapping.name, id, { kind: 'failed', error: refused, keys: plan.keys });
    return outcomeOf('failed', run, decision, deps, refused);
  }
  const guard = await guardWrite(run, { plan, decision, comparison }, deps);
  if (guard.postponed !== undefined) return postpone(guard.postponed, run, decision, deps);
  const { isDrift: isRepair, previousContent } = comparison;
  const job = {
    approval: guard.approval,
    mapping,
    id,
    attempt,
    isRepair,
    onWritten: run.onWritten,
    ...(previousContent === undefined ? {} : { previousContent }),
  };
  const { error, ...written } = await applyPlan(plan, decision, job, deps);
  if (error === undefined) {
    const kind = plan.kind === 'create' ? 'created' : 'updated';
    const restarts = recorded?.restarts || written.restarts;
    return { ...outcomeOf(kind, run, decision, deps), ...written, ...(restarts ? { restarts } : {}) };
  }
  if (error.code === 'CONFLICT') {
    if (attempt < MAX_ATTEMPTS) return undefined;
    await recorder.giveUp(mapping.name, id, error, attempt);
  }
  return outcomeOf('failed', run, decision, deps, error);
}

/** Asks for the window and the approval of a write. */
function guardWrite(
  { mapping, id }: Attempt,
  { plan, decision, comparison }: Pick<Write, 'plan' | 'decision' | 'comparison'>,
  deps: ReconcileDeps,
): Promise<Guarded> {
  const isFirst = plan.kind === 'create' || (plan.kind === 'merge' && comparison.isGone === true);
  const isRestoring = comparison.isDrift || isFirst;
  return guardChange({ mapping: mapping.name, id, plan, isRestoring, pinned: decision.pinned }, deps);
}

/** Records and returns the outcome of a change that must wait for its window, or for a second person. */
async function postpone(
  { kind, error }: Postponed,
  run: Attempt,
  decision: PendingDecision,
  deps: ReconcileDeps,
): Promise<Outcome> {
  await decision.whenRecorded();
  const { keys } = decision.plan;
  await deps.recorder.recordFailure(run.mapping.name, run.id, { kind: 'refused', error, keys });
  return outcomeOf(kind, run, decision, deps, error);
}

function outcomeOf(
  kind: OutcomeKind,
  { mapping, id }: Attempt,
  decision: Decision,
  instances: Instances,
  error?: AppError,
): Outcome {
  const { plan, live, desired, pinned } = decision;
  return {
    kind,
    mapping: mapping.name,
    target: id,
    keys: plan.keys,
    alive: kind === 'created' || isPresentAndOurs(decision, mapping, instances),
    ...(error === undefined ? {} : { error }),
    ...(pinned === undefined ? {} : { pinned }),
    ...outcomeDetails(plan, live, desired, error === undefined),
  };
}

type DestructivePlan = Extract<Plan, { kind: 'delete' | 'recreate' | 'hold' }>;

/** Converts a destructive plan into a proposal. The job of a target must not apply such a plan itself. */
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

/** Records and returns the outcome of a target for which no plan could be made. */
export async function recordUndecidable(
  mapping: Mapping,
  id: TargetId,
  error: AppError,
  { recorder }: Pick<ReconcileDeps, 'recorder'>,
): Promise<Outcome> {
  await recorder.recordFailure(mapping.name, id, { kind: 'failed', error });
  return { kind: 'failed', mapping: mapping.name, target: id, keys: [], alive: false, error };
}
