import type { App } from '../app/app.ts';
import type { ApprovalRequest } from '../audit/decisions.ts';
import { type Actor, type AuditRecord, commandEntry, type Entry } from '../audit/entry.ts';
import { type ApprovalRule, approvalRuleFor } from '../core/approval-rules.ts';
import { isErrorCode } from '../core/error-codes.ts';
import { AppError, isTransient } from '../core/errors.ts';
import { isSamePerson, maybeSamePerson } from '../core/person.ts';
import type { Role } from '../core/roles.ts';
import { compareTargets } from '../core/target.ts';
import { isOpenRequest, isSameAction } from '../reconcile/approvals.ts';
import type { ApprovalStatus } from '../service/approvals.ts';

type ApprovalApp = Pick<App, 'approvalLog' | 'audit' | 'clock' | 'config'>;

/** The person who decides about a request. */
export interface Approver {
  readonly actor: Actor;
  readonly groups: readonly string[];
  /** Whether the person has the role in this namespace. */
  hasRole(role: Role, namespace: string): Promise<boolean>;
  /** Whether the person may see requests in this namespace. Default: all. */
  readonly mayUse?: ((namespace: string) => boolean) | undefined;
}

/** A decision about one request. */
export interface Decision {
  readonly id: string;
  readonly by: Approver;
  readonly requestId: string;
  readonly note?: string | undefined;
}

/** Carries out an approved action as the person who asked. Returns the codes of its targets that did not succeed. */
export type CarryOut = (request: ApprovalRequest) => Promise<readonly string[]>;

/** Returns all requests that are not too old, by namespace and name. */
export async function listApprovals({
  approvalLog,
  clock,
  config,
}: ApprovalApp): Promise<readonly ApprovalStatus[]> {
  // Without a rule, no request can be decided, so do not read the audit.
  if (config.approvals.length === 0) return [];
  const now = clock.now();
  const requests = await approvalLog.requests();
  return requests.map((request) => approvalStatus(request, now)).toSorted(compareTargets);
}

/** Returns the requests that wait for a person, or whose action is about to be carried out. */
export function openApprovals(approvals: readonly ApprovalStatus[]): readonly ApprovalStatus[] {
  return approvals.filter(({ state }) => state === 'pending' || state === 'approved');
}

/**
 * Records an approval, and then carries out the action as the person who asked. If the action was approved before, but
 * not carried out because of a crash, carries it out now.
 * @throws AppError NOT_FOUND, FORBIDDEN, APPROVAL_CLOSED, or why the action could not be carried out.
 */
export async function approve(
  app: ApprovalApp,
  decision: Decision,
  carryOut: CarryOut,
): Promise<ApprovalStatus> {
  const request = await findOpenRequest(app, decision);
  const { by } = decision;
  const rule = ruleOf(app, request);
  const askers = (await app.approvalLog.requests())
    .filter((other) => other.state !== 'done' && isSameAction(other, request))
    .map(({ record }) => record.actor);
  if (askers.some((asker) => maybeSamePerson(asker, by.actor)))
    throw new AppError('FORBIDDEN', {
      detail: 'a person cannot approve an own request',
      remedy: 'Ask another person whom `approvals` names.',
    });
  await requireApprover(rule, request, by);
  await decideOnce(app, 'approve', request, decision);
  await carryOutApproved(app, await currentRequest(app, request), carryOut);
  return approvalStatus(await currentRequest(app, request), app.clock.now());
}

/** Records a rejection. The person who asked may reject too, to withdraw the request. */
export async function reject(app: ApprovalApp, decision: Decision): Promise<ApprovalStatus> {
  const request = await findOpenRequest(app, decision);
  const { by } = decision;
  if (!isSamePerson(request.record.actor, by.actor)) await requireApprover(ruleOf(app, request), request, by);
  await decideOnce(app, 'reject', request, decision);
  return approvalStatus(await currentRequest(app, request), app.clock.now());
}

/**
 * Carries out an approved action. If it can never be carried out, records that, so that it is not tried again. Otherwise it
 * may be tried again until the request ends.
 */
export async function carryOutApproved(
  app: ApprovalApp,
  request: ApprovalRequest,
  carryOut: CarryOut,
): Promise<void> {
  if (request.state !== 'approved' || !isOpenRequest(request, app.clock.now()))
    throw closed(request, app.clock.now());
  try {
    const codes = (await carryOut(request)).filter((code) => isErrorCode(code));
    // The next run of the target adopts its Secret, even if this one could not.
    if (codes.some(isTransient) || request.requested.action === 'adopt') return;
    const [code] = codes;
    const error =
      code === undefined
        ? new AppError('APPROVAL_CLOSED', { detail: 'there was nothing to do' })
        : new AppError(code);
    if ((await currentRequest(app, request)).state === 'approved') await recordEnd(app, request, error);
  } catch (thrown) {
    if (thrown instanceof AppError && !thrown.isTransient) await recordEnd(app, request, thrown);
    throw thrown;
  }
}

/** Returns the approved requests whose action is not carried out yet. */
export async function unfinishedApprovals({
  approvalLog,
  clock,
}: ApprovalApp): Promise<readonly ApprovalRequest[]> {
  const now = clock.now();
  const requests = await approvalLog.requests();
  return requests.filter((request) => request.state === 'approved' && isOpenRequest(request, now));
}

async function findOpenRequest(app: ApprovalApp, { id, by }: Decision): Promise<ApprovalRequest> {
  const request = (await app.approvalLog.requests()).find((candidate) => candidate.id === id);
  // For a person who is limited to namespaces, requests in other namespaces do not exist.
  if (request === undefined || by.mayUse?.(request.record.namespace ?? '') === false)
    throw new AppError('NOT_FOUND', {
      subject: 'request',
      remedy: 'Use an id of `secretbridge approvals list`.',
    });
  const now = app.clock.now();
  if (!isOpenRequest(request, now)) throw closed(request, now);
  return request;
}

async function currentRequest(
  { approvalLog }: ApprovalApp,
  { record }: ApprovalRequest,
): Promise<ApprovalRequest> {
  const requests = await approvalLog.requests();
  const current = requests.find((request) => request.record.sequence === record.sequence);
  if (current === undefined) throw new AppError('APPROVAL_CLOSED');
  return current;
}

function ruleOf({ config }: ApprovalApp, { record, requested }: ApprovalRequest): ApprovalRule {
  const rule = approvalRuleFor(config.approvals, requested.action, record.namespace ?? '');
  if (rule === undefined)
    throw new AppError('APPROVAL_CLOSED', {
      detail: 'no entry of `approvals` matches this action any more, so the command can be repeated',
    });
  return rule;
}

/** How Kubernetes names the identity of a service account. */
const SERVICE_ACCOUNT = 'system:serviceaccount:';

async function requireApprover(
  { approvers: { roles = [], groups = [] } }: ApprovalRule,
  { record: { namespace = '' } }: ApprovalRequest,
  by: Approver,
): Promise<void> {
  if (groups.some((group) => by.groups.includes(group))) return;
  // A person who may create pods or tokens in a namespace can act as its service accounts, so a role is not enough.
  const isPerson = by.actor.name?.startsWith(SERVICE_ACCOUNT) !== true;
  if (isPerson) for (const role of roles) if (await by.hasRole(role, namespace)) return;
  const wanted = [...roles.map((role) => `role ${role}`), ...groups.map((group) => `group ${group}`)];
  throw new AppError('FORBIDDEN', {
    detail: `approvers need ${wanted.join(' or ')} in namespace ${namespace}`,
    remedy: 'Ask a person whom `approvals` names.',
  });
}

/** The process that recorded an approval carries out the action itself. If it has not after this time, it may be dead. */
export const CARRY_OUT_MS = 15_000;

/**
 * Records a decision, unless somebody has decided meanwhile. An approval whose action was not carried out may be repeated.
 */
async function decideOnce(
  app: ApprovalApp,
  action: 'approve' | 'reject',
  request: ApprovalRequest,
  decision: Decision,
): Promise<void> {
  await app.audit.exclusively('approvals', async () => {
    const current = await currentRequest(app, request);
    if (current.state === 'pending') return recordDecision(app, action, request, decision);
    const now = app.clock.now();
    const approvedAt = Date.parse(current.decision?.time ?? '');
    const isInterrupted = current.state === 'approved' && now - approvedAt >= CARRY_OUT_MS;
    if (action === 'reject' || !isInterrupted) throw closed(current, now);
  });
}

async function recordDecision(
  { audit }: ApprovalApp,
  action: 'approve' | 'reject',
  request: ApprovalRequest,
  { by, requestId, note }: Decision,
): Promise<void> {
  const { keys, note: what = '' } = request.record;
  await audit.append([
    {
      ...aboutRequest(request),
      ...{ actor: by.actor, requestId, action, outcome: 'ok', sources: [], keys },
      note: note === undefined ? what : `${what}: ${note}`,
      ...{ durationMs: 0, attempt: 1 },
    },
  ]);
}

/** Records that an approved action will not be carried out. */
async function recordEnd({ audit }: ApprovalApp, request: ApprovalRequest, error: AppError): Promise<void> {
  const { actor, requestId, note = '', mapping } = request.record;
  await audit.append([
    { ...commandEntry({ name: note, mapping }, actor, requestId, error), ...aboutRequest(request) },
  ]);
}

function aboutRequest({
  record,
}: ApprovalRequest): Pick<Entry, 'mapping' | 'namespace' | 'secret' | 'approval'> {
  const { mapping = '', namespace = '', secret = '', sequence } = record;
  return { mapping, namespace, secret, approval: sequence };
}

function closed(request: ApprovalRequest, now: number): AppError {
  const { state, by = '' } = { state: stateOf(request, now), by: nameOf(request.decision) };
  const detail = {
    pending: 'it waits for a decision',
    approved: `${by} has approved it`,
    rejected: `${by} has rejected it`,
    done: 'the approval was used',
    expired: `it was open until ${request.requested.until}`,
  }[state];
  return new AppError('APPROVAL_CLOSED', { subject: `request ${request.id}`, detail });
}

function stateOf({ state, requested }: ApprovalRequest, now: number): ApprovalStatus['state'] {
  const isOver = (state === 'pending' || state === 'approved') && now >= Date.parse(requested.until);
  return isOver ? 'expired' : state;
}

function nameOf(record: AuditRecord | undefined): string | undefined {
  return record && (record.actor.name ?? record.actor.kind);
}

function approvalStatus(request: ApprovalRequest, now: number): ApprovalStatus {
  const { id, record, requested, decision } = request;
  const { mapping = '', namespace = '', secret = '', sequence, time, requestId, keys, note = '' } = record;
  return {
    ...{ id, sequence, action: requested.action, command: note, mapping, namespace, secret, keys },
    ...{ state: stateOf(request, now), requestedBy: nameOf(record) ?? '', requestedAt: time },
    ...{ until: requested.until, requestId },
    ...(decision === undefined ? {} : { decidedBy: nameOf(decision) ?? '', decidedAt: decision.time }),
  };
}
