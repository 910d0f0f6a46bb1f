import { KINDS } from '../audit/query/review-queue.ts';
import { OUTCOMES } from '../core/words.ts';
import {
  boolean,
  counts,
  error,
  extended,
  fingerprint,
  integer,
  list,
  object,
  oneOf,
  reference,
  target,
  text,
  time,
} from './schema-parts.ts';

// The JSON Schemas of the answers about changes.

const outcome = oneOf([...OUTCOMES, 'pending']);
const fieldChanges = list(reference('FieldChange'));

const change = {
  sequence: {
    ...integer,
    description: 'The record that stands for the change: its outcome, or its intent if it has no outcome.',
  },
  records: { ...list(integer), description: 'The sequences of all records of the change.' },
  time,
  durationMs: { type: 'number' },
  action: reference('Action'),
  outcome,
  code: text,
  note: text,
  actor: { ...reference('Actor'), description: 'Only its kind and its name.' },
  requestId: text,
  cause: { ...reference('Cause'), description: 'Why the change was made.' },
  people: { ...list(reference('Participant')), description: 'The people who took part, besides the actor.' },
  ...target,
  store: text,
  key: text,
  keys: list(reference('KeyChange')),
  sources: list(reference('UsedVersion')),
  restarts: list(reference('WorkloadRestart')),
  counts,
  configuration: {
    ...object({ hash: text, revision: text, changes: fieldChanges }, ['hash', 'revision']),
    description: 'For a change of the configuration.',
  },
  count: { ...integer, description: 'How many equal facts the row stands for.' },
  since: { ...time, description: 'When the first of them happened.' },
  reviewOf: { ...integer, description: 'For a review: the record that was reviewed.' },
  review: object({ state: reference('ReviewState'), by: text, time, note: text, followUp: text }, [
    'by',
    'note',
    'followUp',
  ]),
} as const;

const optional = [
  ...['code', 'note', 'people', ...Object.keys(target), 'store', 'key'],
  ...['counts', 'configuration', 'since', 'reviewOf', 'review'],
];

export const changeSchemas = {
  Cause: object(
    {
      kind: oneOf(['schedule', 'event', 'drift', 'person', 'configuration', 'recovery', 'unknown']),
      sequence: { ...integer, description: 'The record of the configuration change that caused this.' },
      revision: text,
      changes: fieldChanges,
    },
    ['sequence', 'revision', 'changes'],
  ),
  Participant: object({
    role: oneOf(['requested', 'approved', 'rejected', 'released']),
    ...{ name: text, time, sequence: integer },
  }),
  KeyChange: object(
    {
      name: text,
      change: oneOf(['added', 'changed', 'removed', 'kept']),
      ...{ before: fingerprint, after: fingerprint },
    },
    ['before', 'after'],
  ),
  UsedVersion: extended(
    'SourceVersion',
    {
      previousVersion: {
        ...text,
        description: 'The version that the previous write used, if it differs.',
      },
    },
    ['previousVersion'],
  ),
  WorkloadRestart: object({ kind: text, name: text, outcome, code: text }, ['code']),
  Change: object(change, optional),
  ChangeDetail: extended('Change', { record: reference('RecordDetail') }),
  ChangeList: object({ changes: list(reference('Change')), next: text }, ['next']),
  ReviewCause: object(
    {
      id: text,
      kind: oneOf(KINDS),
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
  ),
  ReviewQueue: object(
    {
      causes: list(reference('ReviewCause')),
      next: text,
      more: { ...boolean, description: 'Whether older records were not read.' },
    },
    ['next'],
  ),
  Released: object({
    results: list(object({ id: text, ok: boolean, ...error }, Object.keys(error))),
  }),
  Reviewed: object({ reviewed: { ...integer, description: 'The number of reviewed records.' } }),
} as const;
