import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import {
  type AuditQuery,
  isReversedRange,
  parseInstant,
  queryRecords,
  toFilter,
} from '../../audit/query/query.ts';
import { readRecordDetail } from '../../audit/query/record-detail.ts';
import { trace } from '../../audit/query/trace.ts';
import type { RecordFilter } from '../../audit/store.ts';
import { AppError } from '../../core/errors.ts';
import { ACTIONS, OUTCOMES, REVIEW_STATES } from '../../core/words.ts';
import { viewOf } from '../access-control.ts';
import type { RouteDeps } from '../deps.ts';
import { describe, NO_QUERY } from '../openapi.ts';
import { listQuery } from '../paging.ts';

/** Converts the query parameters to a record filter. @throws AppError INVALID_REQUEST */
export function filterOf(query: AuditQuery, now: number): RecordFilter {
  const filter = toFilter(query, (text) => {
    const time = parseInstant(text, now);
    if (time !== undefined) return time;
    const detail = '`since` and `until` must be times: 7d, 2026-01-31 or 2026-01-31T08:00:00Z';
    throw new AppError('INVALID_REQUEST', { detail });
  });
  if (isReversedRange(filter))
    throw new AppError('INVALID_REQUEST', { detail: '`since` is later than `until`' });
  return filter;
}

export const SEQUENCE = {
  type: 'integer',
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'The sequence of the record.',
} as const;

const text = (description: string) =>
  ({ type: 'string', minLength: 1, maxLength: 512, description }) as const;

/** The JSON Schemas of the filters. Lists and exports share them. */
export const FILTERS = {
  since: text('Records from this time on: `7d`, `2026-01-31` or `2026-01-31T08:00:00Z`.'),
  until: text('Records before this time.'),
  actor: text('The actor: a kind or a name.'),
  mapping: text('Records of this mapping.'),
  namespace: text('Records of targets in this namespace.'),
  secret: text('Records of targets with this Secret name.'),
  store: text('Records of this store.'),
  key: text('Records of this source key.'),
  action: { type: 'string', enum: ACTIONS, description: 'Records of this action.' },
  outcome: { type: 'string', enum: OUTCOMES, description: 'Records with this outcome.' },
  code: { type: 'string', pattern: '^[A-Z][A-Z_]{0,63}$', description: 'Records with this error code.' },
  request: text('Records of this request id.'),
  fingerprint: {
    type: 'string',
    pattern: '^[0-9a-f]{8}:[0-9a-f]{64}$',
    description: 'Records that have this fingerprint before or after the change.',
  },
  review: {
    type: 'string',
    enum: REVIEW_STATES,
    description: 'Records in this review state.',
  },
} as const;

interface RecordQuery extends AuditQuery {
  readonly limit: number;
  readonly cursor?: string;
  readonly trace?: boolean;
}

export function addAuditRoutes(app: FastifyInstance, deps: RouteDeps): void {
  addRecordRoutes(app, deps);
  addVerifyRoute(app);
}

function addRecordRoutes(app: FastifyInstance, { clock }: RouteDeps): void {
  app.get<{ Querystring: RecordQuery }>(
    '/api/v1/audit/records',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'listRecords',
        tag: 'audit',
        summary: 'List audit records, newest first. Filters combine with AND.',
        role: 'viewer',
        query: RECORD_QUERY,
        answer: 'RecordList',
      }),
    },
    async (request) => {
      const { query } = request;
      const { audit } = viewOf(request);
      const filter = filterOf(query, clock.now());
      if (!query.trace) return queryRecords(audit, filter, query);
      const { fingerprint, ...rest } = filter;
      if (fingerprint !== undefined) return trace(audit, rest, [fingerprint], query);
      throw new AppError('INVALID_REQUEST', { detail: '`trace` requires `fingerprint`' });
    },
  );

  app.get<{ Params: { readonly sequence: number } }>(
    '/api/v1/audit/records/:sequence',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'getRecord',
        tag: 'audit',
        summary: 'One record with its intent or outcome, its review and its place in the chain.',
        role: 'viewer',
        query: NO_QUERY,
        parameters: { sequence: SEQUENCE },
        answer: 'RecordDetail',
        otherAnswers: { 404: 'Error' },
      }),
    },
    (request) => {
      const { audit } = viewOf(request);
      return readRecordDetail(audit, request.params.sequence, audit.position);
    },
  );
}

function addVerifyRoute(app: FastifyInstance): void {
  app.get(
    '/api/v1/audit/verify',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'verify',
        tag: 'audit',
        summary: 'Verify the whole hash chain. Reads every record. Requires access to all namespaces.',
        role: 'viewer',
        query: NO_QUERY,
        answer: 'Verification',
      }),
    },
    (request) => {
      const { audit } = viewOf(request);
      // Disable the idle timeout, because reading all records can take longer. An injected request (in tests) has no
      // real socket.
      const { socket }: { readonly socket: Partial<Socket> } = request.raw;
      socket.setTimeout?.(0);
      return audit.verify();
    },
  );
}

const RECORD_QUERY = listQuery(
  {
    ...FILTERS,
    trace: {
      type: 'boolean',
      description: 'With `fingerprint`: also show changes that used a source version with this fingerprint.',
    },
  },
  { limit: 50, cursor: '^[1-9][0-9]{0,14}$' },
);
