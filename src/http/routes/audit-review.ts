import type { FastifyInstance } from 'fastify';
import { withReviews } from '../../audit/query/query.ts';
import {
  MAX_NOTE_LENGTH,
  NEW_REVIEW_STATES,
  type NewReviewState,
  recordReview,
} from '../../audit/query/review.ts';
import { AppError } from '../../core/errors.ts';
import type { RouteDeps } from '../deps.ts';
import { describe, NO_QUERY } from '../openapi.ts';
import { actorOf } from '../requester.ts';
import { SEQUENCE } from './audit-query.ts';

interface ReviewRequest {
  Params: { readonly sequence: number };
  Body: { readonly state: NewReviewState; readonly note?: string };
}

export function addReviewRoute(app: FastifyInstance, { audit }: RouteDeps): void {
  app.post<ReviewRequest>(
    '/api/v1/audit/records/:sequence/review',
    {
      config: { access: 'reviewer' },
      schema: describe({
        id: 'review',
        tag: 'audit',
        summary: 'Review a record. The review is recorded in the audit.',
        role: 'reviewer',
        query: NO_QUERY,
        parameters: { sequence: SEQUENCE },
        body: REVIEW_BODY,
        answer: 'Record',
        otherAnswers: { 404: 'Error', 409: 'Error', 503: 'Error' },
      }),
    },
    async (request) => {
      const { sequence } = request.params;
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

const REVIEW_BODY = {
  type: 'object',
  additionalProperties: false,
  required: ['state'],
  properties: {
    state: { type: 'string', enum: NEW_REVIEW_STATES, description: 'The new review state.' },
    note: {
      type: 'string',
      maxLength: MAX_NOTE_LENGTH,
      description: 'A note for other reviewers. Never put a secret value here.',
    },
  },
} as const;
