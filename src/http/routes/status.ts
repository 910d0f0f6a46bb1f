import type { FastifyInstance } from 'fastify';
import type { RouteDeps } from '../deps.ts';
import { describe, NO_QUERY } from '../openapi.ts';

export function addStatusRoutes(app: FastifyInstance, { service }: RouteDeps): void {
  app.get(
    '/api/v1/status',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'status',
        tag: 'service',
        summary:
          'What `secretbridge status` prints: engine, audit, cluster, stores, targets and held changes.',
        role: 'viewer',
        query: NO_QUERY,
        answer: 'Status',
      }),
    },
    () => service.status(),
  );

  app.get(
    '/api/openapi.json',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'openapi',
        tag: 'service',
        summary: 'This API description, as OpenAPI 3.1.',
        role: 'viewer',
        query: NO_QUERY,
      }),
    },
    async () => app.swagger(),
  );
}
