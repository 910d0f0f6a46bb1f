import type { FastifyInstance } from 'fastify';
import { NO_BODY } from '../body.ts';
import type { RouteDeps } from '../deps.ts';
import { describe, NO_QUERY } from '../openapi.ts';
import { LIST_QUERY, type ListQuery, pageOf } from '../paging.ts';
import { requesterOf } from '../requester.ts';

export function addHeldRoutes(app: FastifyInstance, { service }: RouteDeps): void {
  app.get<{ Querystring: ListQuery }>(
    '/api/v1/held',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'listHeld',
        tag: 'held',
        summary: 'List the changes that await a decision, by namespace and name.',
        role: 'viewer',
        query: LIST_QUERY,
        answer: 'HeldList',
      }),
    },
    async ({ query }) => {
      const { items, next } = pageOf(
        service.held(),
        ({ namespace, secret, id }) => [namespace, secret, id],
        query,
      );
      return { held: items, ...(next === undefined ? {} : { next }) };
    },
  );

  app.post<{ Params: { readonly id: string } }>(
    '/api/v1/held/:id/release',
    {
      config: { access: 'operator' },
      schema: describe({
        id: 'release',
        tag: 'held',
        summary: 'Release a held change. The audit records who released it.',
        role: 'operator',
        query: NO_QUERY,
        parameters: { id: { type: 'string', description: 'The id from the list of held changes.' } },
        body: NO_BODY,
        answer: 'SyncAnswer',
        otherAnswers: { 404: 'Error', 409: 'Error', 503: 'Error' },
      }),
    },
    (request) => service.release(request.params.id, requesterOf(request), request.id),
  );
}
