import type { FastifyInstance, FastifyRequest } from 'fastify';
import { toAppError } from '../../core/errors.ts';
import { requesterOf, viewOf } from '../access-control.ts';
import type { RequestedCommand } from '../deps.ts';
import { describe, NO_QUERY } from '../openapi.ts';
import { LIST_QUERY, type ListQuery, pageOf } from '../paging.ts';
import { NO_BODY } from '../request-input.ts';

/** Any other text may be a secret value. */
const HELD_ID = /^[0-9a-f]{12}$/;

export function addHeldRoutes(app: FastifyInstance): void {
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
    async (request) => {
      const { items, next } = pageOf(
        viewOf(request).service.held(),
        ({ namespace, secret, id }) => [namespace, secret, id],
        request.query,
      );
      return { held: items, ...(next === undefined ? {} : { next }) };
    },
  );

  app.post<{ Params: { readonly id: string } }>(
    '/api/v1/held/:id/release',
    {
      config: { access: 'operator', command: releaseCommand },
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
    (request) => viewOf(request).service.release(request.params.id, requesterOf(request), request.id),
  );
}

const MAX_RELEASED = 200;

interface BulkRelease {
  Body: { readonly ids: readonly string[] };
}

/** Releases one change after the other. A change that cannot be released does not stop the others. */
export function addBulkReleaseRoute(app: FastifyInstance): void {
  app.post<BulkRelease>(
    '/api/v1/held/release',
    {
      config: { access: 'operator', command: () => ({ verb: 'release' }) },
      schema: describe({
        id: 'releaseMany',
        tag: 'held',
        summary: 'Release several held changes, one after the other. The answer has a result for each.',
        role: 'operator',
        query: NO_QUERY,
        body: {
          type: 'object',
          additionalProperties: false,
          required: ['ids'],
          properties: {
            ids: {
              type: 'array',
              minItems: 1,
              maxItems: MAX_RELEASED,
              items: { type: 'string', pattern: HELD_ID.source },
              description: 'The ids from the list of held changes.',
            },
          },
        },
        answer: 'Released',
        otherAnswers: { 503: 'Error' },
      }),
    },
    async (request) => {
      const results = [];
      const { service } = viewOf(request);
      for (const id of new Set(request.body.ids)) {
        try {
          const { ok } = await service.release(id, requesterOf(request), request.id);
          results.push({ id, ok });
        } catch (thrown) {
          const error = toAppError(thrown);
          results.push({ id, ok: false, ...error.toJSON() });
        }
      }
      return { results };
    },
  );
}

export function addPruneRoutes(app: FastifyInstance): void {
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
    (request) => viewOf(request).service.orphans(requesterOf(request), request.id),
  );

  app.post(
    '/api/v1/prune',
    {
      config: { access: 'operator', command: () => ({ verb: 'prune' }) },
      schema: describe({
        id: 'prune',
        tag: 'service',
        summary:
          'Delete the targets that no mapping wants. `brake` limits the deletions. The audit records who sent the request.',
        role: 'operator',
        query: NO_QUERY,
        body: NO_BODY,
        answer: 'PruneAnswer',
        otherAnswers: { 503: 'Error' },
      }),
    },
    (request) => viewOf(request).service.prune(requesterOf(request), request.id),
  );
}

function releaseCommand({ params }: FastifyRequest): RequestedCommand {
  const { id } = params as { readonly id: string };
  return { verb: 'release', ...(HELD_ID.test(id) ? { argument: id } : {}) };
}
