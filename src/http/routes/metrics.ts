import type { FastifyInstance } from 'fastify';
import type { RouteDeps } from '../deps.ts';
import { describe } from '../openapi.ts';

export function addMetricsRoute(app: FastifyInstance, { metrics, config }: RouteDeps): void {
  app.get(
    '/metrics',
    {
      config: { access: config.metricsNeedToken ? 'viewer' : 'public' },
      schema: describe({
        id: 'metrics',
        tag: 'probes',
        summary: 'Metrics in the Prometheus text format. Requires a token only with `http.metricsNeedToken`.',
        mediaTypes: ['text/plain'],
        ...(config.metricsNeedToken ? { role: 'viewer' } : {}),
      }),
    },
    async (_, reply) => {
      const { contentType, text } = await metrics.render();
      return reply.type(contentType).send(text);
    },
  );
}
