import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { detail } from '../../audit/question/detail.ts';
import { answer, type Question } from '../../audit/question/question.ts';
import { trace } from '../../audit/question/trace.ts';
import { AppError } from '../../core/errors.ts';
import type { RouteDeps } from '../deps.ts';
import { describe, NO_QUERY } from '../openapi.ts';
import { listQuery } from '../paging.ts';
import { createVerification } from '../verification.ts';
import { FILTERS, filterOf, SEQUENCE } from './audit-query.ts';

interface RecordQuery extends Question {
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
        summary: 'Records of the audit, newest first. Filters combine.',
        role: 'viewer',
        query: RECORD_QUERY,
        answer: 'RecordList',
      }),
    },
    async ({ query }) => {
      const filter = filterOf(query, clock.now());
      if (!query.trace) return answer(audit, filter, query);
      const { fingerprint, ...rest } = filter;
      if (fingerprint !== undefined) return trace(audit, rest, [fingerprint], query);
      throw new AppError('INVALID_REQUEST', { detail: '`trace` follows a `fingerprint`' });
    },
  );

  app.get<{ Params: { readonly sequence: number } }>(
    '/api/v1/audit/records/:sequence',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'getRecord',
        tag: 'audit',
        summary:
          'One record, the intent or outcome that belongs to it, its review and its place in the chain.',
        role: 'viewer',
        query: NO_QUERY,
        parameters: { sequence: SEQUENCE },
        answer: 'RecordDetail',
        also: { 404: 'Error' },
      }),
    },
    ({ params: { sequence } }) => detail(audit, sequence),
  );

  app.get(
    '/api/v1/audit/verify',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'verify',
        tag: 'audit',
        summary: 'Prove the chain of the records, from the first to the last. Reads all of them.',
        role: 'viewer',
        query: NO_QUERY,
        answer: 'Verification',
      }),
    },
    ({ raw }) => {
      // It reads all that there is, and says nothing before its end. A request that no network brought has no such limit.
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
      description: 'With `fingerprint`: also what was made of the versions that had it.',
    },
  },
  { limit: 50, cursor: '^[1-9][0-9]{0,14}$' },
);
