import type { FastifyInstance } from 'fastify';
import { seriesOf } from '../../audit/query/series.ts';
import { DURATION, durationMs } from '../../core/clock.ts';
import { viewOf } from '../access-control.ts';
import type { RouteDeps, View } from '../deps.ts';
import { type GraphQuery, graphOf } from '../graph.ts';
import { describe, NO_QUERY } from '../openapi.ts';
import { listQuery, pageOf } from '../paging.ts';
import { pictureOf, usedVersions } from '../picture.ts';
import { FILTERS, filterOf } from './audit.ts';

export function addPictureRoutes(app: FastifyInstance, deps: RouteDeps): void {
  addSeriesRoute(app, deps);
  addPictureRoute(app, deps);
  addSourcesRoute(app, deps);
  addGraphRoute(app);
}

const DEFAULT_RANGE = '30d';

function addSeriesRoute(app: FastifyInstance, { clock }: RouteDeps): void {
  const { since, until } = FILTERS;
  const step = { type: 'string', pattern: DURATION.source, description: 'The length of a step: `1h`, `1d`.' };
  app.get<{ Querystring: { readonly since?: string; readonly until?: string; readonly step?: string } }>(
    '/api/v1/series',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'series',
        tag: 'changes',
        summary:
          'How many changes, failures, refusals and holds there were over time, in at most 400 steps of whole hours. Default: the last 30 days.',
        role: 'viewer',
        query: { type: 'object', additionalProperties: false, properties: { since, until, step } },
        answer: 'Series',
      }),
    },
    (request) => {
      const { step: length, ...range } = request.query;
      const now = clock.now();
      const filter = filterOf({ since: DEFAULT_RANGE, until: new Date(now).toISOString(), ...range }, now);
      return seriesOf(viewOf(request).audit, {
        since: filter.since ?? '',
        until: filter.until ?? '',
        stepMs: length === undefined ? undefined : durationMs(length),
      });
    },
  );
}

async function presentVersions({ audit, service }: View) {
  return usedVersions(await audit.summaries.sourceVersions(), service.mappings());
}

function addPictureRoute(app: FastifyInstance, { clock }: RouteDeps): void {
  app.get(
    '/api/v1/picture',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'picture',
        tag: 'changes',
        summary:
          'The present state in numbers: the age of the secrets of each store, stale targets, and the calls of each store against the expectation.',
        role: 'viewer',
        query: NO_QUERY,
        answer: 'Picture',
      }),
    },
    async (request) => {
      const view = viewOf(request);
      const [status, versions] = await Promise.all([view.service.status(), presentVersions(view)]);
      return pictureOf({ status, versions, now: clock.now() });
    },
  );
}

interface SourcesQuery {
  readonly store?: string;
  readonly olderThan?: string;
  readonly newerThan?: string;
  readonly limit: number;
  readonly cursor?: string;
}

const DAY_MS = 86_400_000;

function addSourcesRoute(app: FastifyInstance, { clock }: RouteDeps): void {
  app.get<{ Querystring: SourcesQuery }>(
    '/api/v1/sources',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'listSources',
        tag: 'changes',
        summary: 'The sources that mappings use, by the age of their present version, oldest first.',
        role: 'viewer',
        query: SOURCES_QUERY,
        answer: 'SourceList',
      }),
    },
    async (request) => {
      const { store, olderThan, newerThan, limit, cursor } = request.query;
      const now = clock.now();
      const before = (age: string) => new Date(now - durationMs(age)).toISOString();
      const [earliest, latest] = [newerThan && before(newerThan), olderThan && before(olderThan)];
      const versions = (await presentVersions(viewOf(request))).filter(
        (one) =>
          (store === undefined || one.store === store) &&
          (latest === undefined || one.since <= latest) &&
          (earliest === undefined || one.since >= earliest),
      );
      const nameOf = ({ since, store: name, key }: (typeof versions)[number]) => [since, name, encode(key)];
      const { items, next } = pageOf(versions, nameOf, {
        limit,
        ...(cursor === undefined ? {} : { cursor: Buffer.from(cursor, 'base64url').toString() }),
      });
      const days = (since: string): number => Math.floor((now - Date.parse(since)) / DAY_MS);
      return {
        sources: items.map((one) => ({ ...one, days: days(one.since) })),
        ...(next === undefined ? {} : { next: encode(next) }),
      };
    },
  );
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url');
}

const SOURCES_QUERY = listQuery(
  {
    store: FILTERS.store,
    olderThan: {
      type: 'string',
      pattern: DURATION.source,
      description: 'Only sources whose present version was first read longer ago: `90d`.',
    },
    newerThan: {
      type: 'string',
      pattern: DURATION.source,
      description: 'Only sources whose present version was first read within this time: `90d`.',
    },
  },
  { limit: 50, cursor: '^[-_A-Za-z0-9]{1,4000}$' },
);

function addGraphRoute(app: FastifyInstance): void {
  const { mapping, store, namespace } = FILTERS;
  app.get<{ Querystring: GraphQuery }>(
    '/api/v1/graph',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'graph',
        tag: 'changes',
        summary:
          'Stores, mappings, Secrets and workloads with their states, and the edges between them. Without a filter, those in the worst state come first.',
        role: 'viewer',
        query: {
          type: 'object',
          additionalProperties: false,
          properties: {
            ...{ mapping, store, namespace },
            limit: {
              type: 'integer',
              minimum: 1,
              maximum: 1_000,
              default: 200,
              description: 'About how many nodes to return.',
            },
          },
        },
        answer: 'Graph',
      }),
    },
    async (request) => {
      const { service } = viewOf(request);
      return graphOf(service.mappings(), (await service.status()).stores, request.query);
    },
  );
}
