import type { ApprovalLog, ApprovalRequest } from '../audit/decisions.ts';
import { type Actor, type Entry, isPerson } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import { type ApprovalAction, type ApprovalRule, approvalRuleFor } from '../core/approval-rules.ts';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { LiveSecret } from '../core/secret.ts';
import type { TargetId } from '../core/target.ts';
import type { KeyPlan } from '../sync/drift.ts';
import { shortHash } from '../sync/ownership-metadata.ts';
import { changesOf } from './change.ts';

/** An action on one target, before it is carried out. */
export interface GuardedAction {
  readonly action: ApprovalAction;
  readonly mapping: string;
  readonly target: TargetId;
  /** What distinguishes the action from others on the target. An approval counts only for the same argument. */
  readonly argument: string;
  readonly keys: readonly KeyPlan[];
}

/** The sequence of the request that allows an action. Undefined: the action needs no approval. */
export type Approval = number | undefined;

/** Every action that can need an approval calls this, directly before it is recorded. */
export interface ApprovalGate {
  /** Returns the approval. If there is none, records a request. @throws AppError APPROVAL_NEEDED */
  require(action: GuardedAction): Promise<Approval>;
  /**
   * Returns the approvals of several actions, in their order. Records a request for each action without an approval.
   * @throws AppError APPROVAL_NEEDED with the ids of all requests.
   */
  requireAll(actions: readonly GuardedAction[]): Promise<readonly Approval[]>;
  /** The same gate for a plan, which records no request. */
  readonly withoutRequests: ApprovalGate;
}

export interface ApprovalGateDeps {
  readonly audit: Pick<AuditStore, 'append' | 'exclusively'>;
  readonly log: ApprovalLog;
  readonly rules: () => readonly ApprovalRule[];
  readonly clock: Clock;
  /** Who asks. */
  readonly actor: Actor;
  readonly requestId: string;
}

/** @param records Whether to record a request for an action without an approval. */
export function createApprovalGate(deps: ApprovalGateDeps, records = true): ApprovalGate {
  const ruleFor = ({ action, target }: GuardedAction) =>
    approvalRuleFor(deps.rules(), action, target.namespace);

  /** Returns the approval, or the request that is open or was just recorded. */
  async function look(action: GuardedAction): Promise<ApprovalRequest | undefined> {
    const rule = ruleFor(action);
    if (rule === undefined) return undefined;
    const found = await findOpen(action, deps);
    if (found !== undefined) return found;
    if (!records) throw new AppError('APPROVAL_NEEDED');
    // Another process may ask for the same action now.
    return deps.audit.exclusively(
      'approvals',
      async () => (await findOpen(action, deps)) ?? recordRequest(action, rule, deps),
    );
  }

  async function requireAll(actions: readonly GuardedAction[]): Promise<readonly Approval[]> {
    const found: (ApprovalRequest | undefined)[] = [];
    for (const action of actions) found.push(await look(action));
    const missing = found
      .filter((request) => request !== undefined)
      .filter(({ state }) => state !== 'approved');
    if (missing.length > 0) throw approvalNeeded(missing);
    return found.map((request) => request?.record.sequence);
  }

  return {
    requireAll,
    require: async (action) => (await requireAll([action]))[0],
    get withoutRequests() {
      return createApprovalGate(deps, false);
    },
  };
}

/**
 * Returns the same audit store, but it refuses a record that uses an approval which was used meanwhile. Several processes
 * may carry out the same approved action, for example after a pause of one of them.
 * @throws AppError APPROVAL_CLOSED from `append`
 */
export function withSingleUse(
  audit: AuditStore,
  { log, clock }: Pick<ApprovalGateDeps, 'log' | 'clock'>,
): AuditStore {
  async function requireUnused(approvals: readonly number[]): Promise<void> {
    const requests = await log.requests();
    for (const sequence of approvals) {
      const request = requests.find(({ record }) => record.sequence === sequence);
      if (request?.state === 'approved' && isOpenRequest(request, clock.now())) continue;
      throw new AppError('APPROVAL_CLOSED', { detail: 'the approval was used, or its time is over' });
    }
  }
  return {
    ...audit,
    async append(entries) {
      const used = entries.flatMap((entry) => (isUse(entry) ? (entry.approval ?? []) : []));
      if (used.length === 0) return audit.append(entries);
      return audit.exclusively('approvals', async () => {
        await requireUnused(used);
        return audit.append(entries);
      });
    },
  };
}

/** Whether the action of a request begins with this record. */
function isUse({ action, phase }: Entry): boolean {
  return phase === 'intent' || action === 'rollback' || action === 'unpin';
}

/** For contexts that never write. */
export const NO_APPROVALS: ApprovalGate = {
  get withoutRequests() {
    return NO_APPROVALS;
  },
  require: async () => undefined,
  requireAll: async (actions) => actions.map(() => undefined),
};

/**
 * Returns the argument of an adoption: which Secret is adopted, its content, and which of its keys change. The Secret
 * belongs to others, who may change it between the request and the approval.
 */
export function adoptionArgument(
  { id, uid, type, controlled, data }: LiveSecret,
  keys: readonly KeyPlan[],
  fingerprints: Pick<Fingerprinter, 'target'>,
): string {
  const content = fingerprints.target(id, data);
  return shortHash({ uid, type, controlled, content, keys: changesOf(keys) }).slice(0, 12);
}

/** Whether a request still waits, or allows its action. */
export function isOpenRequest({ state, requested }: ApprovalRequest, now: number): boolean {
  return (state === 'pending' || state === 'approved') && now < Date.parse(requested.until);
}

/** Whether two requests are for exactly the same action. An approval of one of them allows the action. */
export function isSameAction(one: RequestedAction, other: RequestedAction): boolean {
  return (
    one.requested.action === other.requested.action &&
    one.requested.argument === other.requested.argument &&
    one.record.mapping === other.record.mapping &&
    one.record.namespace === other.record.namespace &&
    one.record.secret === other.record.secret
  );
}

interface RequestedAction {
  readonly requested: Pick<ApprovalRequest['requested'], 'action' | 'argument'>;
  readonly record: Pick<ApprovalRequest['record'], 'mapping' | 'namespace' | 'secret'>;
}

/**
 * Returns the approved request for exactly this action, or else the last open one. A rejection counts until the request
 * would have ended, unless a person asks again: runs repeat by themselves, and would ask again and again. A request
 * without a person does not count for a person who asks, because this person must be known as the one who asked.
 */
async function findOpen(
  { action, mapping, target, argument }: GuardedAction,
  { log, clock, actor }: ApprovalGateDeps,
): Promise<ApprovalRequest | undefined> {
  const now = clock.now();
  const wanted = { requested: { action, argument }, record: { mapping, ...target } };
  const requests = (await log.requests()).filter(
    (request) =>
      isSameAction(request, wanted) &&
      (isOpenRequest(request, now) ||
        (request.state === 'rejected' && now < Date.parse(request.requested.until))),
  );
  const approved = requests.findLast(({ state }) => state === 'approved');
  if (approved !== undefined || !isPerson(actor)) return approved ?? requests.at(-1);
  return requests.findLast(({ state, record }) => state === 'pending' && isPerson(record.actor));
}

async function recordRequest(
  { action, mapping, target, argument, keys }: GuardedAction,
  { withinMs }: ApprovalRule,
  { audit, log, clock, actor, requestId }: ApprovalGateDeps,
): Promise<ApprovalRequest> {
  const until = new Date(clock.now() + withinMs).toISOString();
  const [recorded] = await audit.append([
    {
      ...{ actor, requestId, action: 'request', mapping, ...target, outcome: 'ok', sources: [] },
      keys: changesOf(keys),
      note: requestText(action, mapping, argument),
      requested: { action, argument, until },
      durationMs: 0,
      attempt: 1,
    },
  ]);
  const request = (await log.requests()).find(({ record }) => record.sequence === recorded?.sequence);
  if (request === undefined) throw new AppError('INTERNAL', { detail: 'the request was not recorded' });
  return request;
}

/** Returns the action as people would type it. */
function requestText(action: ApprovalAction, mapping: string, argument: string): string {
  if (action === 'release') return `release ${argument}`;
  if (action === 'rollback') return `rollback ${mapping} --to ${argument}`;
  return action === 'prune' ? 'prune' : `${action} ${mapping}`;
}

const MAX_NAMED = 5;

/** Joins the errors of several actions that wait for approvals. */
export function joinApprovalErrors(errors: readonly AppError[]): AppError {
  return neededError(errors.flatMap(({ requests = [] }) => requests));
}

function approvalNeeded(requests: readonly ApprovalRequest[]): AppError {
  const rejected = requests.find(({ state }) => state === 'rejected');
  if (rejected !== undefined && requests.length === 1)
    return new AppError('APPROVAL_NEEDED', {
      detail: `request ${rejected.id} was rejected`,
      remedy: `If the action is still wanted, ask for it again with \`secretbridge sync --mapping ${rejected.record.mapping}\`.`,
      requests: [],
    });
  return neededError(requests.map(({ id }) => id));
}

function neededError(ids: readonly string[]): AppError {
  const more = ids.length - MAX_NAMED;
  const named = `${ids.length === 1 ? 'request' : 'requests'} ${ids.slice(0, MAX_NAMED).join(', ')}`;
  return new AppError('APPROVAL_NEEDED', {
    detail: more > 0 ? `${named} and ${more} more` : named,
    requests: ids,
  });
}
