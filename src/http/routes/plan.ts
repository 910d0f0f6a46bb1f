import type { FastifyInstance } from 'fastify';
import { DNS_LABEL } from '../../core/target.ts';
import { requesterOf, viewOf } from '../access-control.ts';
import { describe } from '../openapi.ts';

interface PlanQuery {
  readonly namespace: string;
}

const QUERY = {
  type: 'object',
  additionalProperties: false,
  required: ['namespace'],
  properties: { namespace: { type: 'string', pattern: DNS_LABEL.source, description: 'The namespace.' } },
} as const;

export function addPlanRoute(app: FastifyInstance): void {
  app.get<{ Querystring: PlanQuery }>(
    '/api/v1/plan',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'planNamespace',
        tag: 'mappings',
        summary:
          'Show what a run of the targets of a namespace would change now, without deletions of targets that no mapping wants. The service makes one plan at a time, and answers requests within 15 seconds with the same plan.',
        role: 'viewer',
        query: QUERY,
        answer: 'Plan',
        otherAnswers: { 409: 'Error', 503: 'Error' },
      }),
    },
    (request) => viewOf(request).service.plan(request.query.namespace, requesterOf(request), request.id),
  );
}
