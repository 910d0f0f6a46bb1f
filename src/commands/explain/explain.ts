import type { App } from '../../app/app.ts';
import type { Action, AuditRecord } from '../../audit/entry.ts';
import { isErrorCode } from '../../core/error-codes.ts';
import { AppError, isTransient } from '../../core/errors.ts';
import { mapConcurrently } from '../../core/semaphore.ts';
import { formatTarget, type TargetId } from '../../core/target.ts';
import type { SyncContext } from '../../reconcile/context.ts';
import type { Decision } from '../../reconcile/decide.ts';
import { isContested } from '../../reconcile/latest-records.ts';
import { commandOf } from '../../reconcile/recorder.ts';
import { type DesiredTarget, decideTarget } from '../../reconcile/targets.ts';
import type { SyncState } from '../../service/service.ts';
import type { Plan } from '../../sync/plan-types.ts';
import { expectedCalls, type StoreCalls, unsharedCallsPerHour } from '../expected-calls.ts';
import { planInContext, selectTargets } from '../plan.ts';
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
  const held = await heldTargets(app, context, mapping, decisions);
  for (const { target, decision } of decisions) {
    const { id } = target;
    const { pinned, mapping: decided = target.mapping } = decision;
    const lastRecords = await app.storedAudit.list({ mapping, ...id }, { limit: MAX_RECORDS });
    explained.push({
      target: id,
      ...(await verdictOf(app, target, { ...decision, isHeld: held.has(formatTarget(id)) }, lastRecords)),
      ...(pinned === undefined ? {} : { pinned }),
      sources: await explainSources({ ...decision, mapping: decided, id }, context),
      lastRecords,
    });
  }
  return explained;
}

/** Returns the held targets, formatted with `formatTarget`. Deletions that the brake allows are not included. */
async function heldTargets(
  app: App,
  context: SyncContext,
  mapping: string,
  decisions: readonly { readonly decision: Decision }[],
): Promise<ReadonlySet<string>> {
  const destructive = decisions.filter(({ decision: { plan } }) => DESTRUCTIVE_PLANS.includes(plan.kind));
  if (destructive.length === 0) return new Set();
  const { targets } = await planInContext(app, context, mapping);
  return new Set(targets.flatMap(({ action, target }) => (action === 'hold' ? [formatTarget(target)] : [])));
}

const DESTRUCTIVE_PLANS: readonly Plan['kind'][] = ['hold', 'delete', 'recreate'];

/** Returns the state that the service would report now. */
async function verdictOf(
  app: App,
  { mapping, id }: DesiredTarget,
  { plan, live, pinned, isHeld }: Decision & { readonly isHeld: boolean },
  records: readonly AuditRecord[],
): Promise<Verdict> {
  const about = formatTarget(id);
  if (await isContested(app.audit, id, app.clock, app.instances))
    return { state: 'contested', error: new AppError('CONTESTED', { subject: about }) };
  if (mapping.onDrift === 'report' && isDrifted(plan, records))
    return { state: 'drifted', error: new AppError('DRIFTED', { subject: about }) };
  if ('error' in plan) return { state: stateOf(plan, live !== undefined), error: plan.error };
  if (isHeld) return { state: 'held', error: new AppError('HELD', { subject: about }) };
  if (plan.kind === 'unchanged') return { state: pinned === undefined ? 'synced' : 'pinned' };
  const error = lastFailure(records, about);
  return {
    state: stateOf(error === undefined ? plan : { kind: 'fail', keys: [], error }, live !== undefined),
    error,
  };
}

/** Actions whose records do not describe the state of a target. */
const STATELESS_ACTIONS: readonly Action[] = ['restart', 'release', 'rollback', 'unpin'];

/**
 * Returns the reason why the last attempt at a pending change failed. `explain` writes nothing, so it cannot find out
 * itself whether the cluster would reject the change.
 */
function lastFailure(records: readonly AuditRecord[], about: string): AppError | undefined {
  const last = records.find(({ action, phase }) => !STATELESS_ACTIONS.includes(action) && phase !== 'intent');
  if (last?.phase !== 'outcome' && last?.action !== 'giveUp') return undefined;
  const { outcome, code = '', time } = last;
  if (outcome !== 'failed' || !isErrorCode(code)) return undefined;
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
