import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { type AuditQuery, queryRecords } from '../../audit/query/query.ts';
import { readRecordDetail } from '../../audit/query/record-detail.ts';
import { trace } from '../../audit/query/trace.ts';
import { AppError } from '../../core/errors.ts';
import type { RouteDeps } from '../deps.ts';
import { describe, NO_QUERY } from '../openapi.ts';
import { listQuery } from '../paging.ts';
import { createVerification } from '../verification.ts';
import { FILTERS, filterOf, SEQUENCE } from './audit-query.ts';

interface RecordQuery extends AuditQuery {
  readonly limit: number;
  readonly cursor?: string;
  readonly trace?: boolean;
}

export function addAuditRoutes(app: FastifyInstance, { audit, clock, closing, evidence }: RouteDeps): void {
  const verification = createVerification(audit, closing, evidence);

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
    async ({ query }) => {
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
    ({ params: { sequence } }) => readRecordDetail(audit, sequence),
  );

  app.get(
    '/api/v1/audit/verify',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'verify',
        tag: 'audit',
        summary: 'Verify the whole hash chain. Reads every record.',
        role: 'viewer',
        query: NO_QUERY,
        answer: 'Verification',
      }),
    },
    ({ raw }) => {
      // Disable the idle timeout, because reading all records can take longer. An injected request (in tests) has no
      // real socket.
      const { socket }: { readonly socket: Partial<Socket> } = raw;
      socket.setTimeout?.(0);
      return verification.run();
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
