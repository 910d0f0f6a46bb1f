import type { FastifyInstance } from 'fastify';
import { AppError } from '../../core/errors.ts';
import { viewOf } from '../access-control.ts';
import type { RouteDeps } from '../deps.ts';
import { sendError } from '../errors.ts';
import { describe, NO_QUERY } from '../openapi.ts';

/**
 * Adds the probe routes. Probes need no token, so their responses contain only names and codes. Probes have no rate
 * limit, because a rejected probe could make the kubelet restart the pod.
 */
export function addHealthRoutes(app: FastifyInstance, { probes, config: { instance } }: RouteDeps): void {
  const config = { access: 'public', rateLimit: false } as const;

  app.get(
    '/livez',
    {
      config,
      schema: describe({
        id: 'livez',
        tag: 'probes',
        summary:
          'Whether every loop makes progress. Outages of dependencies do not affect the answer. The instance lets commands find their own service.',
        answer: 'Liveness',
        otherAnswers: { 503: 'Liveness' },
      }),
    },
    async (_, reply) => {
      const stalled = probes.loops().filter((loop) => loop.stalled);
      if (stalled.length > 0) reply.code(503);
      return { ok: stalled.length === 0, stalled: stalled.map(({ name }) => name), instance };
    },
  );

  app.get(
    '/readyz',
    {
      config,
      schema: describe({
        id: 'readyz',
        tag: 'probes',
        summary: 'Whether the configuration is loaded and the audit is writable.',
        answer: 'Readiness',
        otherAnswers: { 503: 'Error' },
      }),
    },
    async (request, reply) => {
      const error = await probes.notReady();
      if (error === undefined) return { ok: true };
      // Omit the subject, which may be the path of a file.
      return sendError(request, reply, new AppError(error.code), 503);
    },
  );
}

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
    async ({ view }, reply) => {
      const { contentType, text } = await (view?.metrics ?? metrics).render();
      return reply.type(contentType).send(text);
    },
  );
}

export function addStatusRoutes(app: FastifyInstance): void {
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
    (request) => viewOf(request).service.status(),
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
