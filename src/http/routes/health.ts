import type { FastifyInstance } from 'fastify';
import { AppError } from '../../core/errors.ts';
import type { RouteDeps } from '../deps.ts';
import { sendError } from '../errors.ts';
import { describe } from '../openapi.ts';

/** The probes hold names and codes only, since anybody may ask; and they are never limited, or a flood would restart us. */
export function addHealthRoutes(app: FastifyInstance, { service }: RouteDeps): void {
  const config = { access: 'public', rateLimit: false } as const;

  app.get(
    '/livez',
    {
      config,
      schema: describe({
        id: 'livez',
        tag: 'probes',
        summary: 'Whether every loop makes progress. An outage of something else does not show here.',
        answer: 'Liveness',
        also: { 503: 'Liveness' },
      }),
    },
    async (_, reply) => {
      const stalled = service.loops().filter((loop) => loop.stalled);
      if (stalled.length > 0) reply.code(503);
      return { ok: stalled.length === 0, stalled: stalled.map(({ name }) => name) };
    },
  );

  app.get(
    '/readyz',
    {
      config,
      schema: describe({
        id: 'readyz',
        tag: 'probes',
        summary: 'Whether the configuration is loaded and the audit can be written.',
        answer: 'Readiness',
        also: { 503: 'Error' },
      }),
    },
    async (request, reply) => {
      const error = await service.notReady();
      if (error === undefined) return { ok: true };
      // Without what it is about, which may be the path of a file.
      return sendError(request, reply, new AppError(error.code), 503);
    },
  );
}
