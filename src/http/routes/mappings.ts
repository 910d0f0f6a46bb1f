import type { FastifyInstance } from 'fastify';
import { AppError } from '../../core/errors.ts';
import type { RouteDeps } from '../deps.ts';
import { describe, NO_QUERY } from '../openapi.ts';
import { LIST_QUERY, type ListQuery, pageOf } from '../paging.ts';
import { requesterOf } from '../requester.ts';

interface Named {
  Params: { readonly name: string };
}

export function addMappingRoutes(app: FastifyInstance, { service }: RouteDeps): void {
  app.get<{ Querystring: ListQuery }>(
    '/api/v1/mappings',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'listMappings',
        tag: 'mappings',
        summary: 'The mappings by name, each with its sources and its targets.',
        role: 'viewer',
        query: LIST_QUERY,
        answer: 'MappingList',
      }),
    },
    async ({ query }) => {
      const { items, next } = pageOf(service.mappings(), ({ mapping }) => [mapping], query);
      return { mappings: items, ...(next === undefined ? {} : { next }) };
    },
  );

  app.get<Named>(
    '/api/v1/mappings/:name',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'getMapping',
        tag: 'mappings',
        summary: 'One mapping.',
        role: 'viewer',
        query: NO_QUERY,
        parameters: { name: NAME },
        answer: 'Mapping',
        also: { 404: 'Error' },
      }),
    },
    async (request) => service.mapping(request.params.name) ?? missing(),
  );

  app.post<Named>(
    '/api/v1/mappings/:name/sync',
    {
      config: { access: 'operator' },
      schema: describe({
        id: 'syncMapping',
        tag: 'mappings',
        summary:
          'Bring the targets of a mapping into step now. What has not ended when the answer is due is `pending`, and goes on.',
        role: 'operator',
        query: NO_QUERY,
        parameters: { name: NAME },
        answer: 'SyncAnswer',
        also: { 404: 'Error', 503: 'Error' },
      }),
    },
    async (request) => {
      const answer = await service.sync(request.params.name, requesterOf(request), request.id);
      return answer ?? missing();
    },
  );
}

const NAME = { type: 'string', description: 'The name of the mapping.' } as const;

function missing(): never {
  throw new AppError('NOT_FOUND', { about: 'mapping' });
}
