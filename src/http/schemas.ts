import { ACTIONS, ACTOR_KINDS, OUTCOMES, REVIEW_STATES } from '../audit/entry.ts';
import { TARGET_STATES } from '../service/service.ts';
import { ROLES } from './identity.ts';

// The answers of the API, as JSON Schemas: for its description only. Members may be added, never renamed.

const text = { type: 'string' } as const;
const whole = { type: 'integer' } as const;
const yesNo = { type: 'boolean' } as const;
const time = { type: 'string', format: 'date-time' } as const;
const orNull = <Type extends string>(schema: { readonly type: Type }) =>
  ({ ...schema, type: [schema.type, 'null'] }) as const;
const health = { type: 'string', enum: ['up', 'degraded', 'down'] } as const;
const list = (items: object) => ({ type: 'array', items }) as const;
const one = (name: string) => ({ $ref: `${name}#` }) as const;

function object(properties: Readonly<Record<string, object>>, optional: readonly string[] = []) {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, required } as const;
}

const error = { code: text, message: text, remedy: text } as const;
const part = { kind: text, state: health } as const;
const target = { mapping: text, namespace: text, secret: text } as const;

const pinned = {
  ...whole,
  description: 'The sequence of the record to whose versions it is pinned.',
} as const;

const OUTCOMES_OF_RUNS = ['created', 'updated', 'deleted', 'unchanged', 'refused', 'held', 'failed'] as const;

const run = {
  ok: yesNo,
  requestId: text,
  summary: { type: 'object', additionalProperties: whole },
  targets: list(
    object(
      {
        ...target,
        outcome: { type: 'string', enum: OUTCOMES_OF_RUNS },
        ...error,
        keys: list(one('Key')),
        pinned,
      },
      [...Object.keys(error), 'pinned'],
    ),
  ),
  held: list(one('Held')),
  pending: whole,
} as const;

const passedOver = {
  waiting: {
    ...list(object({ ...target, until: object({ namespace: text, secret: text }) })),
    description: 'What stays until its mapping has made the target that it wants instead.',
  },
  unseen: {
    ...list(object({ what: text, code: text })),
    description: 'What could not be looked at, though it may have left.',
  },
} as const;

const reviewed = object(
  {
    state: { type: 'string', enum: REVIEW_STATES },
    by: text,
    time,
    note: text,
    sequence: { ...whole, description: 'Of the record of the review.' },
  },
  ['by', 'note'],
);

const record = {
  sequence: whole,
  time,
  action: { type: 'string', enum: ACTIONS },
  phase: { type: 'string', enum: ['intent', 'outcome'] },
  outcome: { type: 'string', enum: OUTCOMES },
  code: text,
  ...target,
  store: text,
  key: text,
  actor: object({ kind: { type: 'string', enum: ACTOR_KINDS }, name: text, address: text }, [
    'name',
    'address',
  ]),
  note: text,
  review: object({ sequence: whole, state: { type: 'string', enum: REVIEW_STATES } }),
  reviewed: {
    ...reviewed,
    description: 'What a person said of it last; left out: nobody has. Not a part of what is hashed.',
  },
  keys: object({ added: list(text), changed: list(text), removed: list(text) }),
  sources: list(object({ store: text, key: text, property: text, version: text }, ['property'])),
  values: {
    type: 'object',
    additionalProperties: text,
    description: 'Of a change: by key, the keyed fingerprint of the value that it is given.',
  },
  counts: { type: 'object', additionalProperties: whole },
  before: text,
  after: text,
  resourceVersion: text,
  requestId: text,
  attempt: whole,
  durationMs: { type: 'number' },
  instance: text,
  replica: text,
  previousHash: text,
  hash: text,
} as const;

const recordOptional = [
  'phase',
  'code',
  ...Object.keys(target),
  'store',
  'key',
  'note',
  'review',
  'reviewed',
  'values',
  'counts',
  'before',
  'after',
  'resourceVersion',
];

export const SCHEMAS = {
  Error: object({ ...error, requestId: text }),
  Liveness: object({ ok: yesNo, stalled: list(text) }),
  Readiness: object({ ok: yesNo }),
  Key: object(
    {
      name: text,
      action: { type: 'string', enum: ['add', 'change', 'remove', 'keep'] },
      before: { ...text, description: 'A keyed fingerprint.' },
      after: text,
    },
    ['before', 'after'],
  ),
  Held: object({ id: text, ...target, action: text, keys: list(one('Key')) }),
  HeldList: object({ held: list(one('Held')), next: text }, ['next']),
  Target: object(
    {
      ...target,
      state: { type: 'string', enum: TARGET_STATES },
      lastSuccess: orNull(time),
      staleSeconds: orNull(whole),
      ...error,
      pinned,
    },
    [...Object.keys(error), 'pinned'],
  ),
  Store: object(
    {
      name: text,
      ...part,
      lastSuccess: orNull(time),
      code: text,
      breakerOpen: yesNo,
      way: { ...text, description: 'How its keys are looked at for changes: list, describe, batch or read.' },
      callsPerHour: { ...whole, description: 'Requests of this replica within the last hour.' },
      expectedCallsPerHour: {
        ...whole,
        description: 'Requests an hour, of all replicas, while nothing changes.',
      },
    },
    ['code', 'way', 'callsPerHour', 'expectedCallsPerHour'],
  ),
  Intake: object(
    {
      kind: { type: 'string', enum: ['sqs', 'eventGrid', 'vault', 'webhook'] },
      name: text,
      state: health,
      lastEvent: time,
      code: text,
    },
    ['lastEvent', 'code'],
  ),
  Status: object({
    instance: text,
    version: text,
    replica: text,
    engine: object({ ...part, code: text }, ['code']),
    audit: object({ ...part, sequence: whole, code: text }, ['code']),
    cluster: object({ ...part, code: text }, ['code']),
    config: object({
      valid: yesNo,
      problems: list(
        object(
          {
            file: text,
            line: whole,
            column: whole,
            path: text,
            code: text,
            message: text,
            suggestion: text,
          },
          ['suggestion'],
        ),
      ),
      differing: {
        ...list(text),
        description:
          'Replicas that work by another configuration. What left it is not deleted while there are any.',
      },
    }),
    stores: list(one('Store')),
    events: list(one('Intake')),
    targets: list(one('Target')),
    held: list(one('Held')),
  }),
  Session: object({ name: text, role: { type: 'string', enum: ROLES } }),
  Mapping: object({
    mapping: text,
    refreshSeconds: { type: 'number' },
    sources: list(object({ store: text, key: text })),
    searches: {
      ...list(object({ store: text, path: text, name: text }, ['name'])),
      description: 'Where it looks for keys. An empty path: everywhere in the store.',
    },
    targets: list(one('Target')),
  }),
  MappingList: object({ mappings: list(one('Mapping')), next: text }, ['next']),
  SyncAnswer: object(run),
  PruneAnswer: object({ ...run, ...passedOver }, Object.keys(passedOver)),
  LeftAnswer: object(
    {
      changes: whole,
      targets: list(
        object({ ...target, action: { type: 'string', enum: ['delete'] }, keys: list(one('Key')) }),
      ),
      held: { ...list(one('Held')), description: 'Empty: only what is to be deleted can be held.' },
      ...passedOver,
    },
    Object.keys(passedOver),
  ),
  Record: object(record, recordOptional),
  RecordDetail: object(
    {
      ...record,
      counterpart: { ...one('Record'), description: 'Of an intent its outcome, of an outcome its intent.' },
      chain: object({ previous: whole, next: whole, head: whole, fits: yesNo }, ['previous', 'next']),
    },
    [...recordOptional, 'counterpart'],
  ),
  Accepted: object({
    requestId: text,
    targets: { ...whole, description: 'That are looked at because of it.' },
  }),
  Handshake: object({ validationResponse: text }),
  RecordList: object(
    {
      records: list(one('Record')),
      next: text,
      versions: {
        ...list(object({ store: text, key: text, version: text, fingerprint: text, firstRead: time })),
        description: 'With `trace`: what had the fingerprint.',
      },
      more: { ...yesNo, description: 'With `trace`: there are more versions than are followed.' },
    },
    ['next', 'versions', 'more'],
  ),
  Verification: object(
    {
      ok: yesNo,
      records: whole,
      checkpoints: whole,
      problem: object(
        {
          kind: {
            type: 'string',
            enum: ['edited', 'deleted', 'inserted', 'reordered', 'truncated', 'checkpoint'],
          },
          sequence: whole,
          after: { ...whole, description: 'Of a checkpoint: the first bad record comes after this one.' },
          unknownKey: {
            ...yesNo,
            description: 'Of a checkpoint: it agrees with the chain, but no key that is known has signed it.',
          },
        },
        ['after', 'unknownKey'],
      ),
      from: whole,
      sealed: object({ sequence: whole, time }),
      cutProved: yesNo,
      accepted: whole,
      unchecked: whole,
    },
    ['problem', 'sealed', 'cutProved'],
  ),
} as const;

export type SchemaName = keyof typeof SCHEMAS;
