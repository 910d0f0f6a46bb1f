import type { App } from '../../app/app.ts';
import { type Action, type AuditRecord, commandOf } from '../../audit/entry.ts';
import { isErrorCode } from '../../core/error-codes.ts';
import { AppError, isTransient } from '../../core/errors.ts';
import { mapConcurrently } from '../../core/semaphore.ts';
import { formatTarget, type TargetId } from '../../core/target.ts';
import type { SyncContext } from '../../reconcile/context.ts';
import type { Decision } from '../../reconcile/decide.ts';
import type { Postponed } from '../../reconcile/guard.ts';
import { isContested } from '../../reconcile/latest-records.ts';
import { withDryRun } from '../../reconcile/preview.ts';
import { type DesiredTarget, decideTarget } from '../../reconcile/targets.ts';
import { createFailedRestarts } from '../../restart/failed-restarts.ts';
import type { FailedRestart } from '../../restart/failures.ts';
import { targetKey } from '../../service/config-snapshot.ts';
import type { SyncState } from '../../service/service.ts';
import type { Plan } from '../../sync/plan-types.ts';
import { expectedCalls, type StoreCalls, unsharedCallsPerHour } from '../expected-calls.ts';
import { planInContext, selectTargets } from '../plan.ts';
import { type PlannedTarget, postponedWrite } from '../planned-targets.ts';
import { isRestartConfigured } from '../restarts.ts';
import { type ExplainedSource, explainSources } from './sources.ts';

interface Verdict {
  readonly state: SyncState;
  readonly error?: AppError | undefined;
}

export interface ExplainedTarget extends Verdict {
  readonly target: TargetId;
  /** The record to which the target is pinned. */
  readonly pinned?: number;
  /** The sources with their current state in the store. If the `access` rules deny a source, it is not read. */
  readonly sources: readonly ExplainedSource[];
  /** The latest audit records of the target, the newest first. */
  readonly lastRecords: readonly AuditRecord[];
}

/** The requests to a store, and the number of them that one mapping causes. */
export interface ExplainedCalls extends StoreCalls {
  /** The number of requests per hour that would be saved if the mapping were removed. */
  readonly added: number;
  /** The number of requests per hour of a tool that reads each key of each target separately at each refresh. */
  readonly oneByOne: number;
}

/** Returns the expected requests to each store of the mapping. Sends no requests. */
export function callsOf({ config, targets }: App, mapping: string): readonly ExplainedCalls[] {
  const own = targets.filter((wanted) => wanted.mapping.name === mapping);
  const others = targets.filter((wanted) => wanted.mapping.name !== mapping);
  const without = new Map(expectedCalls(config, others).map(({ store, perHour }) => [store, perHour]));
  const used = new Set(expectedCalls(config, own).map(({ store }) => store));
  return expectedCalls(config, targets)
    .filter(({ store }) => used.has(store))
    .map((storeCalls) => ({
      ...storeCalls,
      added: storeCalls.perHour - (without.get(storeCalls.store) ?? 0),
      oneByOne: unsharedCallsPerHour(own, storeCalls.store),
    }));
}

const MAX_RECORDS = 5;

/** Reads the current state of a mapping: its sources, its targets, and their latest records. */
export async function explainMapping(
  app: App,
  mapping: string,
  signal?: AbortSignal,
): Promise<readonly ExplainedTarget[]> {
  const context = await app.createContext({ signal });
  await context.recorder.command(commandOf('explain', mapping));
  const explained: ExplainedTarget[] = [];
  const wanted = selectTargets(app, mapping);
  const decisions = await mapConcurrently(wanted, app.config.engine.concurrency, async (target) => ({
    target,
    decision: await decideTarget(target, context),
  }));
  const planned = await plannedRemovals(app, context, mapping, decisions);
  const failedRestarts = createFailedRestarts({ ...app, isConfigured: isRestartConfigured(app) });
  await failedRestarts.refresh();
  const restarts = new Map(
    failedRestarts.current().map((failed) => [targetKey(failed.mapping, failed), failed]),
  );
  for (const { target, decision } of decisions) {
    const { id } = target;
    const { pinned, mapping: decided = target.mapping } = decision;
    const lastRecords = await app.storedAudit.list({ mapping, ...id }, { limit: MAX_RECORDS });
    explained.push({
      target: id,
      ...withRestart(
        await verdictOf(
          app,
          target,
          {
            ...decision,
            removal: planned.get(formatTarget(id)),
            postponed: await postponedWrite(target, decision, context),
          },
          lastRecords,
        ),
        restarts.get(targetKey(mapping, id)),
      ),
      ...(pinned === undefined ? {} : { pinned }),
      sources: await explainSources({ ...decision, mapping: decided, id }, context),
      lastRecords,
    });
  }
  return explained;
}

/** After a failed restart, pods still use the old content. A problem of the target itself takes precedence. */
function withRestart(verdict: Verdict, failed: FailedRestart | undefined): Verdict {
  return failed === undefined || verdict.error !== undefined
    ? verdict
    : { state: 'failed', error: failed.error };
}

/** Returns what `plan` says about the targets that a sync would delete or recreate, by `formatTarget`. */
async function plannedRemovals(
  app: App,
  context: SyncContext,
  mapping: string,
  decisions: readonly { readonly decision: Decision }[],
): Promise<ReadonlyMap<string, PlannedTarget>> {
  const destructive = decisions.filter(({ decision: { plan } }) => DESTRUCTIVE_PLANS.includes(plan.kind));
  if (destructive.length === 0) return new Map();
  const { targets } = await planInContext(app, context, mapping);
  const removals = targets.filter(({ proposal }) => proposal !== undefined);
  return new Map(removals.map((planned) => [formatTarget(planned.target), planned]));
}

const DESTRUCTIVE_PLANS: readonly Plan['kind'][] = ['hold', 'delete', 'recreate'];

/** Returns the state that the service would report now. Agrees with `plan` about what a sync would do. */
async function verdictOf(
  app: App,
  { mapping, id }: DesiredTarget,
  decision: Decision & {
    readonly removal: PlannedTarget | undefined;
    readonly postponed: Postponed | undefined;
  },
  records: readonly AuditRecord[],
): Promise<Verdict> {
  const about = formatTarget(id);
  if (await isContested(app.audit, id, app.clock, app.instances))
    return { state: 'contested', error: new AppError('CONTESTED', { subject: about }) };
  if (mapping.onDrift === 'report' && isDrifted(decision.plan, records))
    return { state: 'drifted', error: new AppError('DRIFTED', { subject: about }) };
  const { plan, live, pinned } = await withDryRun(decision, id, app.cluster);
  const isThere = live !== undefined;
  if ('error' in plan) return { state: stateOf(plan, isThere), error: plan.error };
  const { removal, postponed } = decision;
  if (postponed !== undefined) return { state: postponed.kind, error: postponed.error };
  if (removal?.error?.code === 'OUTSIDE_WINDOW') return { state: 'waiting', error: removal.error };
  if (removal?.action === 'hold') return { state: 'held', error: new AppError('HELD', { subject: about }) };
  if (removal?.error !== undefined) return { state: 'failed', error: removal.error };
  if (plan.kind === 'unchanged') return { state: pinned === undefined ? 'synced' : 'pinned' };
  const error = lastFailure(records, about);
  return { state: stateOf(error === undefined ? plan : { kind: 'fail', keys: [], error }, isThere), error };
}

/** Actions whose records do not describe the state of a target. */
const STATELESS_ACTIONS: readonly Action[] = [
  'restart',
  'release',
  'rollback',
  'unpin',
  'request',
  'approve',
  'reject',
];

/**
 * Returns the transient error of the last attempt, which a dry run may not meet. If an error is not transient, the dry
 * run shows whether it is still there.
 */
function lastFailure(records: readonly AuditRecord[], about: string): AppError | undefined {
  const last = records.find(({ action, phase }) => !STATELESS_ACTIONS.includes(action) && phase !== 'intent');
  if (last?.phase !== 'outcome' && last?.action !== 'giveUp') return undefined;
  const { outcome, code = '', time } = last;
  if (outcome !== 'failed' || !isErrorCode(code) || !isTransient(code)) return undefined;
  return new AppError(code, { subject: about, detail: `at the last attempt, ${time}` });
}

/** Returns whether a person changed the target. If a person deleted the target, only its records show this. */
function isDrifted(plan: Plan, records: readonly AuditRecord[]): boolean {
  if (!['create', 'update', 'merge', 'recreate'].includes(plan.kind)) return false;
  const last = records.find(({ action }) => !STATELESS_ACTIONS.includes(action));
  return ('drift' in plan && plan.drift) || last?.code === 'DRIFTED';
}

function stateOf(plan: Plan, isThere: boolean): SyncState {
  switch (plan.kind) {
    case 'unchanged':
      return 'synced';
    case 'refuse':
      return 'refused';
    case 'hold':
      return 'held';
    case 'fail':
      if (plan.error.code === 'SECRET_MISSING') return 'waiting';
      // A failed store or a missing source keeps the target unchanged. The last content of the target is still usable.
      return isThere && (isTransient(plan.error.code) || plan.error.code === 'SOURCE_ABSENT')
        ? 'stale'
        : 'failed';
    default:
      return isThere ? 'stale' : 'waiting';
  }
}
