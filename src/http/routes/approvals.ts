import type { FastifyInstance, FastifyRequest } from 'fastify';
import { APPROVAL_STATES, type ApprovalStatus } from '../../service/approvals.ts';
import type { ApprovingRequester } from '../../service/service.ts';
import { requesterOf, viewOf } from '../access-control.ts';
import type { RequestedCommand } from '../deps.ts';
import { describe, NO_QUERY } from '../openapi.ts';
import { type ListQuery, listQuery, pageOf } from '../paging.ts';
import { NO_BODY } from '../request-input.ts';

interface Query extends ListQuery {
  readonly state: ApprovalStatus['state'] | 'open' | 'all';
}

interface Decision {
  Params: { readonly id: string };
  Body: { readonly note?: string } | null | undefined;
}

export function addApprovalRoutes(app: FastifyInstance): void {
  addApprovalList(app);
  addApproveRoute(app);
  addRejectRoute(app);
}

function addApprovalList(app: FastifyInstance): void {
  app.get<{ Querystring: Query }>(
    '/api/v1/approvals',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'listApprovals',
        tag: 'approvals',
        summary: 'List the requests for approval, by namespace and name.',
        role: 'viewer',
        query: APPROVAL_QUERY,
        answer: 'ApprovalList',
        otherAnswers: { 503: 'Error' },
      }),
    },
    async (request) => {
      const { state } = request.query;
      const approvals = await viewOf(request).service.approvals();
      const { items, next } = pageOf(
        approvals.filter((approval) => isIn(approval, state)),
        ({ namespace, secret, id }) => [namespace, secret, id],
        request.query,
      );
      return { approvals: items, ...(next === undefined ? {} : { next }) };
    },
  );
}

function addApproveRoute(app: FastifyInstance): void {
  app.post<Decision>(
    '/api/v1/approvals/:id/approve',
    {
      config: { access: 'viewer', command: aboutRequest('approve') },
      schema: describe({
        id: 'approve',
        tag: 'approvals',
        summary:
          'Approve a request and carry out its action. `approvals` in the configuration says who may approve. The person who asked may not.',
        role: 'viewer',
        query: NO_QUERY,
        parameters: { id: ID },
        body: DECISION_BODY,
        answer: 'ApproveAnswer',
        otherAnswers: { 404: 'Error', 409: 'Error', 503: 'Error' },
      }),
    },
    (request) => {
      const { service } = viewOf(request);
      return service.approve(request.params.id, approverOf(request), request.id, noteOf(request.body));
    },
  );
}

function addRejectRoute(app: FastifyInstance): void {
  app.post<Decision>(
    '/api/v1/approvals/:id/reject',
    {
      config: { access: 'viewer', command: aboutRequest('reject') },
      schema: describe({
        id: 'reject',
        tag: 'approvals',
        summary: 'Reject a request. The person who asked may withdraw it in this way.',
        role: 'viewer',
        query: NO_QUERY,
        parameters: { id: ID },
        body: DECISION_BODY,
        answer: 'Approval',
        otherAnswers: { 404: 'Error', 409: 'Error', 503: 'Error' },
      }),
    },
    (request) => {
      const { service } = viewOf(request);
      return service.reject(request.params.id, approverOf(request), request.id, noteOf(request.body));
    },
  );
}

const APPROVAL_QUERY = listQuery(
  {
    state: {
      type: 'string',
      enum: ['open', ...APPROVAL_STATES, 'all'],
      default: 'open',
      description:
        'Only requests in this state. `open`: those that wait, and those whose action is about to be carried out.',
    },
  },
  { limit: 1_000, cursor: '^[-a-z0-9.!]{1,600}$' },
);

const ID = { type: 'string', description: 'The id from the list of requests.' } as const;

const DECISION_BODY = {
  ...NO_BODY,
  properties: {
    note: { type: 'string', maxLength: 500, description: 'For the audit. Do not include values.' },
  },
} as const;

function isIn({ state }: ApprovalStatus, wanted: Query['state']): boolean {
  if (wanted === 'open') return state === 'pending' || state === 'approved';
  return wanted === 'all' || wanted === state;
}

function noteOf(body: Decision['Body']): string | undefined {
  const note = body?.note?.trim() ?? '';
  return note === '' ? undefined : note;
}

function approverOf(request: FastifyRequest): ApprovingRequester {
  return {
    ...requesterOf(request),
    async hasRole(role, namespace) {
      const namespaces = await request.identity?.namespaces(role);
      return namespaces === 'all' || namespaces?.has(namespace) === true;
    },
  };
}

/** Any other text may be a secret value. */
const REQUEST_ID = /^[0-9a-f]{12}$/;

function aboutRequest(verb: string): (request: FastifyRequest) => RequestedCommand {
  return ({ params }) => {
    const { id } = params as Decision['Params'];
    return { verb: `approvals ${verb}`, ...(REQUEST_ID.test(id) ? { argument: id } : {}) };
  };
}
