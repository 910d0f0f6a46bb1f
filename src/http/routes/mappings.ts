import type { FastifyInstance } from 'fastify';
import { AppError } from '../../core/errors.ts';
import type { RollbackRequest } from '../../service/service.ts';
import { NO_BODY } from '../body.ts';
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
        body: NO_BODY,
        answer: 'SyncAnswer',
        also: { 404: 'Error', 503: 'Error' },
      }),
    },
    async (request) => {
      const answer = await service.sync(request.params.name, requesterOf(request), request.id);
      return answer ?? missing();
    },
  );

  app.post<Named & { Body: RollbackRequest }>(
    '/api/v1/mappings/:name/rollback',
    {
      config: { access: 'operator' },
      schema: describe({
        id: 'rollBackMapping',
        tag: 'mappings',
        summary:
          'Go back to the versions of the sources that a record names, and stay there until `unpin`. When one of them cannot be had any more, nothing is changed.',
        role: 'operator',
        query: NO_QUERY,
        parameters: { name: NAME },
        body: {
          type: 'object',
          properties: {
            to: {
              type: 'integer',
              minimum: 1,
              maximum: Number.MAX_SAFE_INTEGER,
              description: 'The sequence of a change of the mapping.',
            },
            namespace: NAMESPACE,
          },
          required: ['to'],
          additionalProperties: false,
        },
        answer: 'SyncAnswer',
        also: { 404: 'Error', 409: 'Error', 503: 'Error' },
      }),
    },
    async (request) => {
      const { name } = request.params;
      const answer = await service.rollback(name, request.body, requesterOf(request), request.id);
      return answer ?? missing();
    },
  );

  app.post<Named & { Body: Pick<RollbackRequest, 'namespace'> | undefined }>(
    '/api/v1/mappings/:name/unpin',
    {
      config: { access: 'operator' },
      schema: describe({
        id: 'unpinMapping',
        tag: 'mappings',
        summary: 'Let the pinned targets of a mapping follow their sources again.',
        role: 'operator',
        query: NO_QUERY,
        parameters: { name: NAME },
        body: { ...NO_BODY, properties: { namespace: NAMESPACE } },
        answer: 'SyncAnswer',
        also: { 404: 'Error', 409: 'Error', 503: 'Error' },
      }),
    },
    async (request) => {
      const which = request.body ?? {};
      const answer = await service.unpin(request.params.name, which, requesterOf(request), request.id);
      return answer ?? missing();
    },
  );
}

const NAMESPACE = {
  type: 'string',
  minLength: 1,
  maxLength: 63,
  description: 'One namespace of a mapping that has several.',
} as const;

const NAME = { type: 'string', description: 'The name of the mapping.' } as const;

function missing(): never {
  throw new AppError('NOT_FOUND', { about: 'mapping' });
}
