import type { FastifyInstance } from 'fastify';
import { ACTIONS, OUTCOMES } from '../../audit/entry.ts';
import { answer, ordered, parseInstant, type Question, toFilter } from '../../audit/question.ts';
import { AppError } from '../../core/errors.ts';
import type { RouteDeps } from '../deps.ts';
import { describe, NO_QUERY } from '../openapi.ts';
import { listQuery } from '../paging.ts';
import { createVerification } from '../verification.ts';

interface RecordQuery extends Question {
  readonly limit: number;
  readonly cursor?: string;
}

export function addAuditRoutes(app: FastifyInstance, { audit, clock, closing }: RouteDeps): void {
  const verification = createVerification(audit, closing);

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
      const now = clock.now();
      const filter = toFilter(query, (text) => instant(text, now));
      return answer(audit, filter, query);
    },
  );

  app.get<{ Params: { readonly sequence: number } }>(
    '/api/v1/audit/records/:sequence',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'getRecord',
        tag: 'audit',
        summary: 'One record.',
        role: 'viewer',
        query: NO_QUERY,
        parameters: { sequence: SEQUENCE },
        answer: 'Record',
        also: { 404: 'Error' },
      }),
    },
    async ({ params: { sequence } }) => {
      const record = await audit.get(sequence);
      if (record === undefined) throw new AppError('RECORD_MISSING', { about: `record ${sequence}` });
      return ordered(record);
    },
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
    () => verification.run(),
  );
}

function instant(text: string, now: number): string {
  const time = parseInstant(text, now);
  if (time !== undefined) return time;
  const detail = '`since` and `until` must be times: 7d, 2026-01-31 or 2026-01-31T08:00:00Z';
  throw new AppError('INVALID_REQUEST', { detail });
}

const SEQUENCE = {
  type: 'integer',
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'Its number.',
} as const;

const text = (description: string) =>
  ({ type: 'string', minLength: 1, maxLength: 512, description }) as const;

const RECORD_QUERY = listQuery(
  {
    since: text('From then on: `7d`, `2026-01-31` or `2026-01-31T08:00:00Z`.'),
    until: text('Until then.'),
    actor: text('Who caused it: a kind or a name.'),
    mapping: text('Of this mapping.'),
    namespace: text('Of targets in this namespace.'),
    secret: text('Of targets of this name.'),
    store: text('Of this store.'),
    key: text('Of this source key.'),
    action: { type: 'string', enum: ACTIONS, description: 'Of this kind.' },
    outcome: { type: 'string', enum: OUTCOMES, description: 'That ended so.' },
    code: { type: 'string', pattern: '^[A-Z][A-Z_]{0,63}$', description: 'With this error code.' },
    request: text('Of one request.'),
    fingerprint: {
      type: 'string',
      pattern: '^[0-9a-f]{8}:[0-9a-f]{64}$',
      description: 'That left or found this fingerprint.',
    },
  },
  { limit: 50, cursor: '^[1-9][0-9]{0,14}$' },
);
