import { ACTIONS, OUTCOMES, REVIEW_STATES } from '../../audit/entry.ts';
import { isBackwards, parseInstant, type Question, toFilter } from '../../audit/question/question.ts';
import type { RecordFilter } from '../../audit/store.ts';
import { AppError } from '../../core/errors.ts';

/** The question of a request as a filter. @throws AppError INVALID_REQUEST */
export function filterOf(query: Question, now: number): RecordFilter {
  const filter = toFilter(query, (text) => {
    const time = parseInstant(text, now);
    if (time !== undefined) return time;
    const detail = '`since` and `until` must be times: 7d, 2026-01-31 or 2026-01-31T08:00:00Z';
    throw new AppError('INVALID_REQUEST', { detail });
  });
  if (isBackwards(filter)) throw new AppError('INVALID_REQUEST', { detail: '`since` is later than `until`' });
  return filter;
}

export const SEQUENCE = {
  type: 'integer',
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'Its number.',
} as const;

const text = (description: string) =>
  ({ type: 'string', minLength: 1, maxLength: 512, description }) as const;

/** As JSON Schemas: the same for a list and for an export. */
export const FILTERS = {
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
  review: {
    type: 'string',
    enum: REVIEW_STATES,
    description: 'As a person said of it last.',
  },
} as const;
