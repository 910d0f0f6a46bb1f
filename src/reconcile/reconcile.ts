import type { Cluster } from '../cluster/cluster.ts';
import type { Clock } from '../core/clock.ts';
import { AppError, assertNever } from '../core/errors.ts';
import { type Instances, instancesOf } from '../core/instances.ts';
import type { Mapping } from '../core/mapping.ts';
import type { LiveSecret } from '../core/secret.ts';
import type { TargetId } from '../core/target.ts';
import { LABEL } from '../sync/ownership-metadata.ts';
import { isForeign, type Plan } from '../sync/plan.ts';
import { type DecideDeps, type Decision, decideBeforeRecorded, type PendingDecision } from './decide.ts';
import { type Comparison, compareWithLastWrite, reportDrift } from './drift-check.ts';
import type { Outcome, OutcomeKind, Proposal } from './outcome.ts';
import { outcomeDetails } from './outcome-details.ts';
import type { Recorder } from './recorder.ts';
import { applyPlan, stillRefused, type WriteJob } from './write.ts';

export interface ReconcileDeps extends DecideDeps {
  readonly cluster: Cluster;
  readonly recorder: Recorder;
  readonly clock: Clock;
  /** Whether a recent list shows that a target does not exist. Left out if there is no list. */
  readonly isMissing?: ((id: TargetId) => boolean) | undefined;
}

export interface ReconcileOptions {
  /** How to treat a target that differs only by manual changes. The `sync` command repairs it. */
  readonly drift?: 'repair' | 'report';
  /** Whether the target is new in the configuration, so that its absence is not drift. */
  readonly isNew?: boolean;
  /**
   * Whether the target is still desired. Called before a write, because the configuration may change while sources are
   * read. Defaults to true.
   */
  readonly isStillDesired?: (() => boolean) | undefined;
}

/** Maximum number of write conflicts in one run. After that, the next run decides again. */
const MAX_ATTEMPTS = 3;

/**
 * Syncs one target: reads the sources, plans, records the intent, writes, and records the outcome. Errors of the target
 * or its sources become outcomes. If the audit is unavailable, throws, because nothing may be written without a record.
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
        // With this code the target was read and does not exist, because a failed read has another code.
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

/** Whether the target was found and is ours. */
export function isPresentAndOurs(
  { plan, live }: Pick<Decision, 'plan' | 'live'>,
  mapping: Mapping,
  instances: Instances,
): boolean {
  return live !== undefined && !isForeign(plan) && !isUnadopted(plan, live, mapping, instances);
}

/**
 * Whether the adoption of the Secret was refused, for example because of its type. Until it is adopted, the Secret is
 * not ours.
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

/** @param isSure Whether a missing target was read from the cluster. False for a list, which may be stale. */
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
 * Observes a target that is missing from a list, without reading it. This is enough for a target that was never
 * written: if the Secret exists after all, the POST fails and the target is read. In all other cases returns undefined,
 * and the target must be read first.
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

type DestructivePlan = Extract<Plan, { kind: 'delete' | 'recreate' | 'hold' }>;

/** Converts a destructive plan, which the job of a target may not apply itself, into a proposal. */
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

/** Records and returns the outcome of a target for which no decision is possible. */
export async function recordUndecidable(
  mapping: Mapping,
  id: TargetId,
  error: AppError,
  { recorder }: Pick<ReconcileDeps, 'recorder'>,
): Promise<Outcome> {
  await recorder.recordFailure(mapping.name, id, { kind: 'failed', error });
  return { kind: 'failed', mapping: mapping.name, target: id, keys: [], alive: false, error };
}
