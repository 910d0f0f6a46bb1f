import type { FastifyInstance } from 'fastify';
import { withReviews } from '../../audit/question/question.ts';
import { LONGEST_NOTE, REVIEWS, type ReviewWord, review } from '../../audit/question/review.ts';
import { AppError } from '../../core/errors.ts';
import type { RouteDeps } from '../deps.ts';
import { describe, NO_QUERY } from '../openapi.ts';
import { actorOf } from '../requester.ts';
import { SEQUENCE } from './audit-query.ts';

interface ReviewRequest {
  Params: { readonly sequence: number };
  Body: { readonly state: ReviewWord; readonly note?: string };
}

export function addReviewRoute(app: FastifyInstance, { audit }: RouteDeps): void {
  app.post<ReviewRequest>(
    '/api/v1/audit/records/:sequence/review',
    {
      config: { access: 'reviewer' },
      schema: describe({
        id: 'review',
        tag: 'audit',
        summary: 'Say that you have looked at a record. It is on record who did.',
        role: 'reviewer',
        query: NO_QUERY,
        parameters: { sequence: SEQUENCE },
        body: BODY,
        answer: 'Record',
        also: { 404: 'Error', 409: 'Error', 503: 'Error' },
      }),
    },
    async (request) => {
      const { sequence } = request.params;
      await review(audit, { ...request.body, sequence, actor: actorOf(request), requestId: request.id });
      const record = await audit.get(sequence);
      if (record === undefined) throw new AppError('RECORD_MISSING', { about: `record ${sequence}` });
      const [shown] = await withReviews(audit, [record]);
      return shown;
    },
  );
}

const BODY = {
  type: 'object',
  additionalProperties: false,
  required: ['state'],
  properties: {
    state: { type: 'string', enum: REVIEWS, description: 'What it is now.' },
    note: { type: 'string', maxLength: LONGEST_NOTE, description: 'What was found; never a value.' },
  },
} as const;
