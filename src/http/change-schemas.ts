import { ACTIONS, OUTCOMES, REVIEW_STATES } from '../audit/entry.ts';
import { KINDS } from '../audit/query/review-queue.ts';
import { actor, boolean, integer, list, object, reference, target, text, time } from './schema-parts.ts';

// The JSON Schemas of the answers about changes.

const outcome = { type: 'string', enum: [...OUTCOMES, 'pending'] } as const;
const fingerprint = { ...text, description: 'A keyed fingerprint.' } as const;
const fieldChanges = list(object({ path: text, before: text, after: text }, ['before', 'after']));

const cause = {
  ...object(
    {
      kind: {
        type: 'string',
        enum: ['schedule', 'event', 'drift', 'person', 'configuration', 'recovery', 'unknown'],
      },
      sequence: { ...integer, description: 'The record of the configuration change that caused this.' },
      revision: text,
      changes: fieldChanges,
    },
    ['sequence', 'revision', 'changes'],
  ),
  description: 'Why the change was made.',
} as const;

const person = object({
  role: { type: 'string', enum: ['requested', 'approved', 'rejected', 'released'] },
  ...{ name: text, time, sequence: integer },
});

const key = object(
  {
    name: text,
    change: { type: 'string', enum: ['added', 'changed', 'removed', 'kept'] },
    ...{ before: fingerprint, after: fingerprint },
  },
  ['before', 'after'],
);

const source = object(
  {
    ...{ store: text, key: text, property: text, version: text },
    previousVersion: { ...text, description: 'The version that the previous write used, if it differs.' },
  },
  ['property', 'previousVersion'],
);

const change = {
  sequence: {
    ...integer,
    description: 'The record that stands for the change: its outcome, or its intent if it has no outcome.',
  },
  records: { ...list(integer), description: 'The sequences of all records of the change.' },
  time,
  durationMs: { type: 'number' },
  action: { type: 'string', enum: ACTIONS },
  outcome,
  code: text,
  note: text,
  actor: object({ kind: actor.properties.kind ?? text, name: text }, ['name']),
  requestId: text,
  cause,
  people: { ...list(person), description: 'The people who took part, besides the actor.' },
  ...target,
  store: text,
  key: text,
  keys: list(key),
  sources: list(source),
  restarts: list(object({ kind: text, name: text, outcome, code: text }, ['code'])),
  counts: { type: 'object', additionalProperties: integer },
  configuration: {
    ...object({ hash: text, revision: text, changes: fieldChanges }, ['hash', 'revision']),
    description: 'For a change of the configuration.',
  },
  count: { ...integer, description: 'How many equal facts the row stands for.' },
  since: { ...time, description: 'When the first of them happened.' },
  review: object(
    { state: { type: 'string', enum: REVIEW_STATES }, by: text, time, note: text, followUp: text },
    ['by', 'note', 'followUp'],
  ),
} as const;

const optional = [
  ...['code', 'note', 'people', ...Object.keys(target), 'store', 'key'],
  ...['counts', 'configuration', 'since', 'review'],
];

const reviewCause = object(
  {
    id: text,
    kind: { type: 'string', enum: KINDS },
    title: text,
    ...{ code: text, store: text, key: text, mapping: text, requestId: text },
    count: { ...integer, description: 'How many changes have this cause.' },
    ...{ first: time, last: time },
    sequences: { ...list(integer), description: 'The records to review, newest first, at most 200.' },
    ...{ namespaces: integer, targets: integer },
    held: { ...list(text), description: 'The ids with which the changes can be released now.' },
    followUp: { ...text, description: 'For flagged records: the day of the follow-up.' },
    isDue: { ...boolean, description: 'For flagged records: whether this day has come.' },
    example: reference('Change'),
  },
  ['code', 'store', 'key', 'mapping', 'requestId', 'held', 'followUp', 'isDue'],
);

export const changeSchemas = {
  Change: object(change, optional),
  ChangeDetail: object({ ...change, record: reference('RecordDetail') }, optional),
  ChangeList: object({ changes: list(reference('Change')), next: text }, ['next']),
  ReviewQueue: object(
    {
      causes: list(reviewCause),
      next: text,
      more: { ...boolean, description: 'Whether older records were not read.' },
    },
    ['next'],
  ),
  Released: object({
    results: list(
      object({ id: text, ok: boolean, code: text, message: text, remedy: text }, [
        'code',
        'message',
        'remedy',
      ]),
    ),
  }),
  Reviewed: object({ reviewed: { ...integer, description: 'The number of reviewed records.' } }),
} as const;
