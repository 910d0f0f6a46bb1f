import type { FastifyInstance, FastifyRequest } from 'fastify';
import { listCauses } from '../../audit/query/list-causes.ts';
import { type AuditQuery, withReviews } from '../../audit/query/query.ts';
import {
  MAX_NOTE_LENGTH,
  MAX_REVIEWED,
  NEW_REVIEW_STATES,
  type NewReview,
  recordReview,
  recordReviews,
} from '../../audit/query/review.ts';
import { AppError } from '../../core/errors.ts';
import { actorOf, viewOf } from '../access-control.ts';
import type { RequestedCommand, RouteDeps } from '../deps.ts';
import { describe, NO_QUERY } from '../openapi.ts';
import { listQuery } from '../paging.ts';
import { FILTERS, filterOf, SEQUENCE } from './audit.ts';

export function addReviewRoutes(app: FastifyInstance, deps: RouteDeps): void {
  addQueueRoute(app, deps);
  addBulkRoute(app);
  addRecordRoute(app);
}

const STATE = { type: 'string', enum: NEW_REVIEW_STATES, description: 'The new review state.' } as const;

/** The members of every new review. */
const REVIEW = {
  state: STATE,
  note: {
    type: 'string',
    maxLength: MAX_NOTE_LENGTH,
    description: 'A note for other reviewers. Never put a secret value here.',
  },
  followUp: {
    type: 'string',
    pattern: String.raw`^\d{4}-\d\d-\d\d$`,
    description: 'The day on which somebody looks at the record again, such as `2026-01-31`.',
  },
} as const;

interface ReviewRequest {
  Params: { readonly sequence: number };
  Body: NewReview;
}

function addRecordRoute(app: FastifyInstance): void {
  app.post<ReviewRequest>(
    '/api/v1/audit/records/:sequence/review',
    {
      config: { access: 'reviewer', command: reviewCommand },
      schema: describe({
        id: 'review',
        tag: 'audit',
        summary: 'Review a record. The review is recorded in the audit.',
        role: 'reviewer',
        query: NO_QUERY,
        parameters: { sequence: SEQUENCE },
        body: { type: 'object', additionalProperties: false, required: ['state'], properties: REVIEW },
        answer: 'Record',
        otherAnswers: { 404: 'Error', 409: 'Error', 503: 'Error' },
      }),
    },
    async (request) => {
      const { sequence } = request.params;
      const { audit } = viewOf(request);
      await recordReview(audit, {
        ...request.body,
        sequence,
        actor: actorOf(request),
        requestId: request.id,
      });
      const record = await audit.get(sequence);
      if (record === undefined) throw new AppError('RECORD_MISSING', { subject: `record ${sequence}` });
      const [recordWithReview] = await withReviews(audit, [record]);
      return recordWithReview;
    },
  );
}

function reviewCommand({ params }: FastifyRequest): RequestedCommand {
  // The parameters may be unchecked texts.
  const sequence = Number((params as ReviewRequest['Params']).sequence);
  return { verb: 'audit review', ...(Number.isSafeInteger(sequence) ? { argument: sequence } : {}) };
}

interface BulkReview {
  Body: NewReview & { readonly sequences: readonly number[] };
}

function addBulkRoute(app: FastifyInstance): void {
  app.post<BulkReview>(
    '/api/v1/review',
    {
      config: { access: 'reviewer', command: () => ({ verb: 'audit review' }) },
      schema: describe({
        id: 'reviewMany',
        tag: 'changes',
        summary: 'Review records, all or none. Each review is recorded in the audit.',
        role: 'reviewer',
        query: NO_QUERY,
        body: BULK_BODY,
        answer: 'Reviewed',
        otherAnswers: { 404: 'Error', 409: 'Error', 503: 'Error' },
      }),
    },
    async (request) => {
      const { sequences } = request.body;
      const { audit } = viewOf(request);
      const reviews = await recordReviews(audit, {
        ...request.body,
        sequences: [...new Set(sequences)],
        actor: actorOf(request),
        requestId: request.id,
      });
      return { reviewed: reviews.length };
    },
  );
}

const BULK_BODY = {
  type: 'object',
  additionalProperties: false,
  required: ['sequences', 'state'],
  properties: {
    sequences: {
      type: 'array',
      minItems: 1,
      maxItems: MAX_REVIEWED,
      items: { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER },
      description: 'The sequences of the records to review.',
    },
    ...REVIEW,
  },
} as const;

interface QueueQuery extends Omit<AuditQuery, 'review'> {
  readonly limit: number;
  readonly cursor?: string;
}

function addQueueRoute(app: FastifyInstance, { clock }: RouteDeps): void {
  app.get<{ Querystring: QueueQuery }>(
    '/api/v1/review',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'listReview',
        tag: 'changes',
        summary:
          'What a person should look at, grouped by cause: changes that failed, were refused or held, deletions, adoptions and rollbacks without a review, requests for approval, and flagged records.',
        role: 'viewer',
        query: QUEUE_QUERY,
        answer: 'ReviewQueue',
      }),
    },
    async (request) => {
      const { limit, cursor, ...query } = request.query;
      const now = clock.now();
      const { audit, service } = viewOf(request);
      const approvals = await service.approvals();
      const requests = approvals.flatMap(({ state, sequence }) => (state === 'pending' ? [sequence] : []));
      const options = { limit, cursor, now, held: service.held(), requests };
      return listCauses(audit, filterOf(query, now), options);
    },
  );
}

const { review: _, ...QUEUE_FILTERS } = FILTERS;
const QUEUE_QUERY = listQuery(QUEUE_FILTERS, { limit: 50, cursor: '^[0-9a-f]{16}$' });
