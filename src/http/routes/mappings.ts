import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from '../../core/errors.ts';
import { MAX_REASON_LENGTH, type WindowOverride } from '../../service/approvals.ts';
import type { RollbackRequest } from '../../service/service.ts';
import { requesterOf, viewOf } from '../access-control.ts';
import type { RequestedCommand } from '../deps.ts';
import { describe, NO_QUERY } from '../openapi.ts';
import { LIST_QUERY, type ListQuery, pageOf } from '../paging.ts';
import { NO_BODY } from '../request-input.ts';

interface Named {
  Params: { readonly name: string };
}

function aboutMapping(verb: string): (request: FastifyRequest) => RequestedCommand {
  return ({ params }) => ({ verb, mapping: (params as Named['Params']).name });
}

export function addMappingRoutes(app: FastifyInstance): void {
  addMappingLists(app);
  addSyncRoute(app);
  addPinRoutes(app);
}

function addMappingLists(app: FastifyInstance): void {
  app.get<{ Querystring: ListQuery }>(
    '/api/v1/mappings',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'listMappings',
        tag: 'mappings',
        summary: 'List the mappings by name, each with its sources and targets.',
        role: 'viewer',
        query: LIST_QUERY,
        answer: 'MappingList',
      }),
    },
    async (request) => {
      const mappings = viewOf(request).service.mappings();
      const { items, next } = pageOf(mappings, ({ mapping }) => [mapping], request.query);
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
        summary: 'Get one mapping.',
        role: 'viewer',
        query: NO_QUERY,
        parameters: { name: NAME },
        answer: 'Mapping',
        otherAnswers: { 404: 'Error' },
      }),
    },
    async (request) => viewOf(request).service.mapping(request.params.name) ?? unknownMapping(),
  );
}

function addSyncRoute(app: FastifyInstance): void {
  app.post<Named & { Body: SyncBody | null | undefined }>(
    '/api/v1/mappings/:name/sync',
    {
      config: { access: 'operator', command: aboutMapping('sync') },
      schema: describe({
        id: 'syncMapping',
        tag: 'mappings',
        summary:
          'Sync the targets of a mapping now. Targets that do not finish in time are counted as `pending` and continue.',
        role: 'operator',
        query: NO_QUERY,
        parameters: { name: NAME },
        body: SYNC_BODY,
        answer: 'SyncAnswer',
        otherAnswers: { 404: 'Error', 503: 'Error' },
      }),
    },
    async (request) => {
      const { service } = viewOf(request);
      const { name } = request.params;
      const override = overrideIn(request.body ?? {});
      const answer = await service.sync(name, requesterOf(request), request.id, override);
      return answer ?? unknownMapping();
    },
  );
}

function addPinRoutes(app: FastifyInstance): void {
  app.post<Named & { Body: RollbackRequest }>(
    '/api/v1/mappings/:name/rollback',
    {
      config: { access: 'operator', command: aboutMapping('rollback') },
      schema: describe({
        id: 'rollBackMapping',
        tag: 'mappings',
        summary:
          'Roll back the targets of a mapping to the source versions of a record, and pin them there until `unpin`. If a version is no longer available, its target does not change.',
        role: 'operator',
        query: NO_QUERY,
        parameters: { name: NAME },
        body: ROLLBACK_BODY,
        answer: 'SyncAnswer',
        otherAnswers: { 404: 'Error', 409: 'Error', 503: 'Error' },
      }),
    },
    async (request) => {
      const { name } = request.params;
      const { service } = viewOf(request);
      const answer = await service.rollback(name, request.body, requesterOf(request), request.id);
      return answer ?? unknownMapping();
    },
  );

  app.post<Named & { Body: Pick<RollbackRequest, 'namespace'> | undefined }>(
    '/api/v1/mappings/:name/unpin',
    {
      config: { access: 'operator', command: aboutMapping('unpin') },
      schema: describe({
        id: 'unpinMapping',
        tag: 'mappings',
        summary: 'Unpin the targets of a mapping, so that they follow their sources again.',
        role: 'operator',
        query: NO_QUERY,
        parameters: { name: NAME },
        body: { ...NO_BODY, properties: { namespace: NAMESPACE } },
        answer: 'SyncAnswer',
        otherAnswers: { 404: 'Error', 409: 'Error', 503: 'Error' },
      }),
    },
    async (request) => {
      const selection = request.body ?? {};
      const { service } = viewOf(request);
      const answer = await service.unpin(request.params.name, selection, requesterOf(request), request.id);
      return answer ?? unknownMapping();
    },
  );
}

const NAMESPACE = {
  type: 'string',
  minLength: 1,
  maxLength: 63,
  description: 'One namespace of a mapping with several targets.',
} as const;

interface SyncBody {
  readonly override?: boolean;
  readonly reason?: string;
}

const SYNC_BODY = {
  ...NO_BODY,
  properties: {
    override: {
      type: 'boolean',
      description:
        'Whether to make changes outside of their `windows`. The records of the request are flagged.',
    },
    reason: {
      type: 'string',
      minLength: 1,
      maxLength: MAX_REASON_LENGTH,
      description: 'Why. Required with `override`. Do not include values.',
    },
  },
} as const;

/** @throws AppError INVALID_REQUEST if only one of the members is given. */
function overrideIn({ override = false, reason = '' }: SyncBody): WindowOverride | undefined {
  if (override !== (reason.trim() !== ''))
    throw new AppError('INVALID_REQUEST', { detail: '`override` and `reason` must be given together' });
  return override ? { reason: reason.trim() } : undefined;
}

const ROLLBACK_BODY = {
  type: 'object',
  properties: {
    to: {
      type: 'integer',
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'The sequence of an earlier change of the mapping.',
    },
    namespace: NAMESPACE,
  },
  required: ['to'],
  additionalProperties: false,
} as const;

const NAME = { type: 'string', description: 'The name of the mapping.' } as const;

function unknownMapping(): never {
  throw new AppError('NOT_FOUND', { subject: 'mapping' });
}
