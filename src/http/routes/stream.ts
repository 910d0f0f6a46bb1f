import type { FastifyInstance } from 'fastify';
import { requesterOf, viewOf } from '../access-control.ts';
import type { RouteDeps } from '../deps.ts';
import { describe, NO_QUERY } from '../openapi.ts';
import { createStreams } from '../stream.ts';

export function addStreamRoute(app: FastifyInstance, deps: RouteDeps): void {
  const streams = createStreams(deps);
  app.get(
    '/api/v1/stream',
    {
      // A page opens the stream by itself, so the stream does not prolong the session.
      config: { access: 'viewer', keepsSession: true },
      exposeHeadRoute: false,
      schema: describe({
        id: 'stream',
        tag: 'changes',
        summary:
          'Server-sent events: `change` with `{ "head": sequence }` when there are new records, and `state` when a target or a held change has another state. Ends with the session. After a reconnection, ask for everything again.',
        role: 'viewer',
        query: NO_QUERY,
        mediaTypes: ['text/event-stream'],
        otherAnswers: { 429: 'Error' },
      }),
    },
    async (request, reply) => {
      const { name, subject = name } = requesterOf(request);
      const { identifyAgain = async () => undefined } = request;
      const stream = await streams.open({ name: subject, view: viewOf(request), identifyAgain });
      // A proxy must not hold events back.
      return reply.type('text/event-stream').header('x-accel-buffering', 'no').send(stream);
    },
  );
}
