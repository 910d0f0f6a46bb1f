import type { App } from '../../app/app.ts';
import type { ApprovalRequest } from '../../audit/decisions.ts';
import type { Actor } from '../../audit/entry.ts';
import { AppError } from '../../core/errors.ts';
import { personOf } from '../../core/person.ts';
import type { TargetId } from '../../core/target.ts';
import type { ApprovalStatus } from '../../service/approvals.ts';
import type {
  ApproveAnswer,
  ApprovingRequester,
  HeldStatus,
  Requester,
  Service,
  SyncAnswer,
} from '../../service/service.ts';
import { type Approver, approve, listApprovals, reject } from '../approvals.ts';

/** The person who asked for an approved action. The action may concern only the target of the request. */
export type ApprovedRequester = Requester & { readonly actor: Actor };

/** The commands of the running service that can need an approval. */
type Commands = Pick<Service, 'rollback' | 'unpin' | 'sync'> & {
  release(
    id: string,
    by: Requester,
    requestId: string,
    held: Pick<HeldStatus, 'mapping' | 'namespace'>,
  ): Promise<SyncAnswer>;
  prune(by: Requester, requestId: string, only?: TargetId): Promise<SyncAnswer>;
};

/** The requests for approval, as the API of the running service shows them. */
export class ServiceApprovals {
  readonly #app: App;
  readonly #commands: Commands;

  constructor(app: App, commands: Commands) {
    this.#app = app;
    this.#commands = commands;
  }

  list(): Promise<readonly ApprovalStatus[]> {
    return listApprovals(this.#app);
  }

  async approve(
    id: string,
    by: ApprovingRequester,
    requestId: string,
    note: string | undefined,
  ): Promise<ApproveAnswer> {
    let answer: SyncAnswer | undefined;
    const approval = await approve(
      this.#app,
      { id, by: approverOf(by), requestId, note },
      async (request) => {
        answer = await carryOut(request, this.#commands);
        return codesOf(answer);
      },
    );
    if (answer === undefined) throw new AppError('INTERNAL', { detail: 'nothing was carried out' });
    return { ...answer, approval };
  }

  reject(
    id: string,
    by: ApprovingRequester,
    requestId: string,
    note: string | undefined,
  ): Promise<ApprovalStatus> {
    return reject(this.#app, { id, by: approverOf(by), requestId, note });
  }
}

function approverOf({ hasRole, groups = [], mayUse, address, ...person }: ApprovingRequester): Approver {
  const actor = { kind: 'operator', ...person, ...(address === undefined ? {} : { address }) } as const;
  return { actor, groups, hasRole, mayUse };
}

/** Carries out an approved action in the name of the person who asked. */
async function carryOut(request: ApprovalRequest, commands: Commands): Promise<SyncAnswer> {
  const by = requesterOf(request);
  const { requestId, mapping = '', namespace = '', secret = '' } = request.record;
  const { action, argument } = request.requested;
  if (action === 'release') return commands.release(argument, by, requestId, { mapping, namespace });
  if (action === 'prune') return commands.prune(by, requestId, { namespace, secret });
  const answer =
    action === 'rollback'
      ? await commands.rollback(mapping, { to: Number(argument), namespace }, by, requestId)
      : action === 'unpin'
        ? await commands.unpin(mapping, { namespace }, by, requestId)
        : await commands.sync(mapping, by, requestId);
  if (answer === undefined) throw new AppError('APPROVAL_CLOSED', { detail: 'its mapping was removed' });
  return answer;
}

function requesterOf({ record: { actor, namespace } }: ApprovalRequest): ApprovedRequester {
  return { name: actor.name ?? actor.kind, actor, mayUse: (other) => other === namespace };
}

function codesOf({ targets }: SyncAnswer): readonly string[] {
  return targets.flatMap((target) =>
    'code' in target && typeof target.code === 'string' ? [target.code] : [],
  );
}

/** The caller of a command. For an approved request, `actor` is the person who asked. */
export type Caller = Requester & { readonly actor?: Actor };

/** Whether a command of this caller may concern the target. */
export function mayUse(by: Requester, { namespace }: Pick<TargetId, 'namespace'>): boolean {
  return by.mayUse?.(namespace) ?? true;
}

/** Returns the caller as the actor of records. */
export function actorOf({ address, actor, ...person }: Caller): Actor {
  return actor ?? { kind: 'operator', ...personOf(person), ...(address === undefined ? {} : { address }) };
}

/**
 * Uses the namespaces that the watch has reported. A separate list of namespaces could be older, and would replace the
 * reported ones.
 */
export function commandContext(by: Caller, requestId: string) {
  return { requestId, actor: actorOf(by), reuseResolved: true };
}
