import { ACTOR_KINDS } from '../audit/entry.ts';
import { APPROVAL_ACTIONS } from '../core/approval-rules.ts';
import { ACTIONS, OUTCOMES, REVIEW_STATES } from '../core/words.ts';
import {
  boolean,
  counts,
  extended,
  integer,
  list,
  object,
  oneOf,
  reference,
  target,
  text,
  time,
} from './schema-parts.ts';

// The JSON Schemas of the answers about audit records.

const review = object({ sequence: integer, state: reference('ReviewState'), followUp: text }, ['followUp']);

const requested = {
  ...object({ action: oneOf(APPROVAL_ACTIONS), argument: text, until: time }),
  description: 'For a `request`: what waits for approval.',
} as const;

const record = {
  sequence: integer,
  time,
  action: reference('Action'),
  phase: oneOf(['intent', 'outcome']),
  outcome: reference('Outcome'),
  code: text,
  ...target,
  store: text,
  key: text,
  actor: reference('Actor'),
  note: text,
  review,
  reviewed: {
    ...reference('Review'),
    description: 'The latest review. Undefined: unreviewed. Not part of the hash.',
  },
  keys: reference('KeyNames'),
  sources: list(reference('SourceVersion')),
  values: {
    type: 'object',
    additionalProperties: text,
    description: 'For a change: the keyed fingerprint of each new value, by target key.',
  },
  counts,
  requested,
  approval: {
    ...integer,
    description: 'The sequence of the `request` that the record decides about, or that allowed the action.',
  },
  count: integer,
  since: time,
  changes: list(reference('FieldChange')),
  configHash: text,
  revision: text,
  before: text,
  after: text,
  resourceVersion: text,
  requestId: text,
  attempt: integer,
  durationMs: { type: 'number' },
  instance: text,
  replica: text,
  previousHash: text,
  hmac: text,
  hash: text,
} as const;

const optional = [
  ...['phase', 'code', ...Object.keys(target), 'store', 'key', 'note', 'review', 'reviewed'],
  ...['values', 'counts', 'requested', 'approval', 'count', 'since', 'changes', 'configHash', 'revision'],
  ...['before', 'after', 'resourceVersion', 'hmac'],
];

const damage = object(
  {
    kind: oneOf(['edited', 'deleted', 'inserted', 'reordered', 'truncated', 'checkpoint']),
    sequence: integer,
    after: { ...integer, description: 'For a checkpoint: the first bad record comes after this one.' },
    unknownKey: {
      ...boolean,
      description: 'For a checkpoint: it matches the chain, but is signed by an unknown key.',
    },
  },
  ['after', 'unknownKey'],
);

export const recordSchemas = {
  Action: oneOf(ACTIONS),
  Outcome: oneOf(OUTCOMES),
  ReviewState: oneOf(REVIEW_STATES),
  Actor: object({ kind: oneOf(ACTOR_KINDS), name: text, subject: text, aliases: list(text), address: text }, [
    'name',
    'subject',
    'aliases',
    'address',
  ]),
  /** A changed field of the configuration. */
  FieldChange: object({ path: text, before: text, after: text }, ['before', 'after']),
  KeyNames: object({ added: list(text), changed: list(text), removed: list(text) }),
  SourceVersion: object({ store: text, key: text, property: text, version: text }, ['property']),
  Review: object(
    {
      ...{ state: reference('ReviewState'), by: text, time, note: text },
      followUp: { ...text, description: 'The day on which somebody looks at the record again.' },
      sequence: { ...integer, description: 'The sequence of the review record.' },
    },
    ['by', 'note', 'followUp'],
  ),
  Record: object(record, optional),
  RecordDetail: extended(
    'Record',
    {
      counterpart: {
        ...reference('Record'),
        description: 'The outcome of an intent, or the intent of an outcome.',
      },
      chain: object({ previous: integer, next: integer, head: integer, fits: boolean }, ['previous', 'next']),
    },
    ['counterpart'],
  ),
  TracedVersion: object({ store: text, key: text, version: text, fingerprint: text, firstRead: time }),
  RecordList: object(
    {
      records: list(reference('Record')),
      next: text,
      versions: {
        ...list(reference('TracedVersion')),
        description: 'With `trace`: the source versions that have the fingerprint.',
      },
      more: { ...boolean, description: 'With `trace`: there are more versions than were followed.' },
    },
    ['next', 'versions', 'more'],
  ),
  Damage: damage,
  Verification: object(
    {
      ok: boolean,
      records: integer,
      checkpoints: integer,
      covered: { ...boolean, description: 'Whether a checkpoint covers all but the newest records.' },
      problem: reference('Damage'),
      from: integer,
      sealed: object({ sequence: integer, time }),
      cutProved: boolean,
      accepted: integer,
      unchecked: integer,
      unverifiable: integer,
    },
    ['problem', 'sealed', 'cutProved', 'unverifiable'],
  ),
} as const;
