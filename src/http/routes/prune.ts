import type { FastifyInstance } from 'fastify';
import { NO_BODY } from '../body.ts';
import type { RouteDeps } from '../deps.ts';
import { describe, NO_QUERY } from '../openapi.ts';
import { requesterOf } from '../requester.ts';

export function addPruneRoutes(app: FastifyInstance, { service }: RouteDeps): void {
  app.get(
    '/api/v1/prune',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'listLeft',
        tag: 'service',
        summary: 'List the targets that no mapping wants any more, as `secretbridge prune` does.',
        role: 'viewer',
        query: NO_QUERY,
        answer: 'LeftAnswer',
        otherAnswers: { 503: 'Error' },
      }),
    },
    (request) => service.orphans(requesterOf(request), request.id),
  );

  app.post(
    '/api/v1/prune',
    {
      config: { access: 'operator' },
      schema: describe({
        id: 'prune',
        tag: 'service',
        summary: 'Delete the targets that no mapping wants. The brake applies. The audit records who asked.',
        role: 'operator',
        query: NO_QUERY,
        body: NO_BODY,
        answer: 'PruneAnswer',
        otherAnswers: { 503: 'Error' },
      }),
    },
    (request) => service.prune(requesterOf(request), request.id),
  );
}
