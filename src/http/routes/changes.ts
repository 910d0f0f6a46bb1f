import type { FastifyInstance } from 'fastify';
import { readChange } from '../../audit/query/change-detail.ts';
import { listChanges } from '../../audit/query/list-changes.ts';
import type { AuditQuery } from '../../audit/query/query.ts';
import { viewOf } from '../access-control.ts';
import type { RouteDeps } from '../deps.ts';
import { describe, NO_QUERY } from '../openapi.ts';
import { listQuery } from '../paging.ts';
import { FILTERS, filterOf, SEQUENCE } from './audit.ts';

/** A cursor is a sequence. */
export const CURSOR = '^[1-9][0-9]{0,14}$';

interface ChangeListQuery extends AuditQuery {
  readonly limit: number;
  readonly cursor?: string;
  readonly state?: 'open' | 'all';
}

export function addChangeRoutes(app: FastifyInstance, { clock }: RouteDeps): void {
  app.get<{ Querystring: ChangeListQuery }>(
    '/api/v1/changes',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'listChanges',
        tag: 'changes',
        summary:
          'List changes, newest first. One change has an intent, an outcome, the reads of its sources and its restarts. Equal facts that follow each other are one change with a count.',
        role: 'viewer',
        query: CHANGE_QUERY,
        answer: 'ChangeList',
      }),
    },
    async (request) => {
      const { state, limit, cursor, ...query } = request.query;
      const filter = filterOf(query, clock.now());
      return listChanges(viewOf(request).audit, { filter, isOpen: state === 'open' }, { limit, cursor });
    },
  );

  app.get<{ Params: { readonly sequence: number } }>(
    '/api/v1/changes/:sequence',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'getChange',
        tag: 'changes',
        summary: 'The change to which a record belongs, with this record.',
        role: 'viewer',
        query: NO_QUERY,
        parameters: { sequence: SEQUENCE },
        answer: 'ChangeDetail',
        otherAnswers: { 404: 'Error' },
      }),
    },
    (request) => {
      const { audit } = viewOf(request);
      return readChange(audit, request.params.sequence, audit.position);
    },
  );
}

const CHANGE_QUERY = listQuery(
  {
    ...FILTERS,
    state: {
      type: 'string',
      enum: ['open', 'all'],
      default: 'all',
      description:
        '`open`: only changes without a review that failed, were refused or held, or that deleted, adopted or rolled back a target.',
    },
  },
  { limit: 50, cursor: CURSOR },
);
