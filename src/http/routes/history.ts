import type { FastifyInstance } from 'fastify';
import { find } from '../../audit/query/find.ts';
import { listChanges } from '../../audit/query/list-changes.ts';
import { presentContent } from '../../audit/query/present.ts';
import { reachOf } from '../../audit/query/reach.ts';
import type { RecordFilter } from '../../audit/store.ts';
import { AppError } from '../../core/errors.ts';
import { viewOf } from '../access-control.ts';
import type { View } from '../deps.ts';
import { describe } from '../openapi.ts';
import { listQuery } from '../paging.ts';
import { FILTERS } from './audit.ts';
import { CURSOR } from './changes.ts';

export function addHistoryRoutes(app: FastifyInstance): void {
  addTimelineRoute(app);
  addReachRoute(app);
  addSearchRoute(app);
}

interface Subject {
  readonly namespace?: string;
  readonly secret?: string;
  readonly mapping?: string;
  readonly store?: string;
  readonly key?: string;
  readonly version?: string;
  readonly actor?: string;
}

interface TimelineQuery extends Subject {
  readonly limit: number;
  readonly cursor?: string;
}

function addTimelineRoute(app: FastifyInstance): void {
  app.get<{ Querystring: TimelineQuery }>(
    '/api/v1/timeline',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'timeline',
        tag: 'changes',
        summary:
          'The changes of one subject, newest first, with its present state: a Secret (`namespace` and `secret`), a `mapping`, a source (`store`, `key`, `version`) or a person (`actor`).',
        role: 'viewer',
        query: TIMELINE_QUERY,
        answer: 'Timeline',
      }),
    },
    async (request) => {
      const { limit, cursor, ...subject } = request.query;
      const view = viewOf(request);
      const filter = subjectFilter(subject);
      const [page, now] = await Promise.all([
        listChanges(view.audit, { filter }, { limit, cursor }),
        cursor === undefined ? presentOf(view, subject) : undefined,
      ]);
      return { ...page, ...(now === undefined ? {} : { now }) };
    },
  );
}

/** @throws AppError INVALID_REQUEST unless the query names exactly one subject. */
function subjectFilter(subject: Subject): RecordFilter {
  const { namespace, secret, mapping, store, key, version, actor } = subject;
  const isSecret = namespace !== undefined && secret !== undefined;
  const named = [isSecret || undefined, mapping, store, actor].filter((name) => name !== undefined);
  const isHalf = (namespace === undefined) !== (secret === undefined);
  const isLoose = (key !== undefined && store === undefined) || (version !== undefined && key === undefined);
  if (named.length === 1 && !isHalf && !isLoose) return subject;
  const detail =
    'name one subject: `namespace` and `secret`, `mapping`, `store` (with `key`, `version`), or `actor`';
  throw new AppError('INVALID_REQUEST', { detail });
}

/** Returns the present state of a Secret, a mapping or a source. Only the first page contains it. */
async function presentOf(
  { service, audit }: View,
  { namespace, secret, mapping, store, key }: Subject,
): Promise<object | undefined> {
  if (namespace !== undefined && secret !== undefined) {
    const isTarget = (one: { readonly namespace: string; readonly secret: string }): boolean =>
      one.namespace === namespace && one.secret === secret;
    const content = await presentContent(audit, { namespace, secret });
    const targets = service.mappings().flatMap((one) => one.targets.filter(isTarget));
    return { targets, held: service.held().filter(isTarget), ...(content && { content }) };
  }
  if (mapping !== undefined) {
    const status = service.mapping(mapping);
    return { ...(status && { mapping: status }) };
  }
  if (store === undefined) return undefined;
  const status = (await service.status()).stores.find(({ name }) => name === store);
  const versions = key === undefined ? [] : await audit.summaries.sourceVersions();
  const source = versions.find((one) => one.store === store && one.key === key);
  return { ...(status && { store: status }), ...(source && { source }) };
}

const { namespace, secret, mapping, store, key, actor } = FILTERS;
const SUBJECT = { namespace, secret, mapping, store, key, actor } as const;
const VERSION = { ...key, description: 'The version of the source.' } as const;
const TIMELINE_QUERY = listQuery({ ...SUBJECT, version: VERSION }, { limit: 50, cursor: CURSOR });

function addReachRoute(app: FastifyInstance): void {
  app.get<{ Querystring: { readonly store: string; readonly key: string; readonly version?: string } }>(
    '/api/v1/reach',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'reach',
        tag: 'changes',
        summary:
          'The Secrets that hold a version of a source now, that held it, and that hold another version. Without `version`: the version that was read last.',
        role: 'viewer',
        query: {
          type: 'object',
          additionalProperties: false,
          required: ['store', 'key'],
          properties: { store, key, version: VERSION },
        },
        answer: 'Reach',
      }),
    },
    async (request) => {
      const { audit } = viewOf(request);
      const { store: name, key: path } = request.query;
      if (request.query.version !== undefined) return reachOf(audit, request.query);
      const versions = await audit.summaries.sourceVersions();
      const last = versions.find((one) => one.store === name && one.key === path);
      const reach = await reachOf(audit, last ?? { store: name, key: path });
      return { ...reach, ...(last === undefined ? {} : { version: last.version }) };
    },
  );
}

const MAX_FOUND = 100;

function addSearchRoute(app: FastifyInstance): void {
  app.get<{ Querystring: { readonly q: string; readonly limit: number } }>(
    '/api/v1/search',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'search',
        tag: 'changes',
        summary: 'Find mappings, Secrets, stores, keys, people and notes that contain a text.',
        role: 'viewer',
        query: {
          type: 'object',
          additionalProperties: false,
          required: ['q'],
          properties: {
            q: { type: 'string', minLength: 1, maxLength: 200, description: 'The text, in any letter case.' },
            limit: {
              type: 'integer',
              minimum: 1,
              maximum: MAX_FOUND,
              default: 20,
              description: 'The number of results.',
            },
          },
        },
        answer: 'SearchResults',
      }),
    },
    async (request) => {
      const { audit, service } = viewOf(request);
      const { q: text, limit } = request.query;
      return { results: await find(audit, presentNames(service), { text, limit }) };
    },
  );
}

function presentNames(service: View['service']): Parameters<typeof find>[1] {
  const mappings = service.mappings();
  const sources = mappings.flatMap((one) => one.sources);
  const searches = mappings.flatMap((one) => one.searches);
  return {
    mappings: mappings.map((one) => one.mapping),
    sources,
    stores: [...new Set([...sources, ...searches].map((one) => one.store))],
    targets: mappings.flatMap((one) => one.targets),
  };
}
