import { ACTIONS, OUTCOMES, REVIEW_STATES } from '../../audit/entry.ts';
import { type AuditQuery, isReversedRange, parseInstant, toFilter } from '../../audit/query/query.ts';
import type { RecordFilter } from '../../audit/store.ts';
import { AppError } from '../../core/errors.ts';

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

/** The filters as JSON Schemas, shared by lists and exports. */
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
