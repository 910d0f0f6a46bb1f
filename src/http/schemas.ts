import { ACTIONS, OUTCOMES, REVIEW_STATES } from '../audit/entry.ts';
import { RUN_OUTCOMES } from '../core/target.ts';
import { SYNC_STATES } from '../service/service.ts';
import { changeSchemas } from './change-schemas.ts';
import { pictureSchemas } from './picture-schemas.ts';
import {
  actor,
  approval,
  auditDoubt,
  boolean,
  channels,
  expiresAt,
  health,
  intake,
  integer,
  list,
  nullable,
  object,
  pinned,
  problem,
  recordExtras,
  reference,
  requests,
  reviewed,
  searches,
  skipped,
  target,
  text,
  time,
  warnings,
} from './schema-parts.ts';
import { signInSchemas } from './sign-in-schemas.ts';

// The JSON Schemas of API responses, which are only used for the OpenAPI document. Fields may be added, but never
// renamed.

const error = { code: text, message: text, remedy: text } as const;
const component = { kind: text, state: health } as const;

const run = {
  ok: boolean,
  requestId: text,
  summary: { type: 'object', additionalProperties: integer },
  targets: list(
    object(
      {
        ...target,
        outcome: { type: 'string', enum: RUN_OUTCOMES },
        ...error,
        keys: list(reference('Key')),
        pinned,
      },
      [...Object.keys(error), 'pinned'],
    ),
  ),
  held: list(reference('Held')),
  warnings,
  pending: integer,
} as const;

const record = {
  sequence: integer,
  time,
  action: { type: 'string', enum: ACTIONS },
  phase: { type: 'string', enum: ['intent', 'outcome'] },
  outcome: { type: 'string', enum: OUTCOMES },
  code: text,
  ...target,
  store: text,
  key: text,
  actor,
  note: text,
  review: object({ sequence: integer, state: { type: 'string', enum: REVIEW_STATES }, followUp: text }, [
    'followUp',
  ]),
  reviewed: {
    ...reviewed,
    description: 'The latest review. Undefined: unreviewed. Not part of the hash.',
  },
  keys: object({ added: list(text), changed: list(text), removed: list(text) }),
  sources: list(object({ store: text, key: text, property: text, version: text }, ['property'])),
  values: {
    type: 'object',
    additionalProperties: text,
    description: 'For a change: the keyed fingerprint of each new value, by target key.',
  },
  counts: { type: 'object', additionalProperties: integer },
  ...recordExtras,
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
  ...Object.keys(recordExtras),
  'before',
  'after',
  'resourceVersion',
  'hmac',
];

export const SCHEMAS = {
  Error: object({ ...error, requests, requestId: text }, ['requests']),
  Liveness: object({ ok: boolean, stalled: list(text), instance: text }, ['instance']),
  Readiness: object({ ok: boolean }),
  Key: object(
    {
      name: text,
      action: { type: 'string', enum: ['add', 'change', 'remove', 'keep'] },
      before: { ...text, description: 'A keyed fingerprint.' },
      after: text,
    },
    ['before', 'after'],
  ),
  Held: object(
    { id: text, ...target, action: text, keys: list(reference('Key')), reason: text, since: time },
    ['reason', 'since'],
  ),
  HeldList: object({ held: list(reference('Held')), next: text }, ['next']),
  Approval: approval,
  ApprovalList: object({ approvals: list(reference('Approval')), next: text }, ['next']),
  ApproveAnswer: object({ ...run, approval: reference('Approval') }),
  Target: object(
    {
      ...target,
      state: { type: 'string', enum: SYNC_STATES },
      lastSuccess: nullable(time),
      staleSeconds: nullable(integer),
      ...error,
      pinned,
      expiresAt,
    },
    [...Object.keys(error), 'pinned', 'expiresAt'],
  ),
  Store: object(
    {
      name: text,
      ...component,
      lastSuccess: nullable(time),
      code: text,
      breakerOpen: boolean,
      way: { ...text, description: 'How the store is checked for changes: list, describe, batch or read.' },
      callsPerHour: { ...integer, description: 'Requests of this replica within the last hour.' },
      expectedCallsPerHour: {
        ...integer,
        description: 'Requests an hour of all replicas while nothing changes.',
      },
    },
    ['code', 'way', 'callsPerHour', 'expectedCallsPerHour'],
  ),
  Intake: intake,
  Status: object(
    {
      instance: text,
      version: text,
      replica: text,
      engine: object({ ...component, code: text }, ['code']),
      audit: object({ ...component, sequence: integer, ...auditDoubt }, Object.keys(auditDoubt)),
      warnings,
      cluster: object({ ...component, code: text }, ['code']),
      config: object({
        valid: boolean,
        problems: list(problem),
        differing: {
          ...list(text),
          description:
            'Replicas with another configuration. Deletions of removed targets wait until they agree.',
        },
      }),
      includes: list(
        object({
          ...{ path: text, namespaces: list(text) },
          state: { type: 'string', enum: ['valid', 'disabled', 'outdated'] },
          problems: list(problem),
        }),
      ),
      stores: list(reference('Store')),
      events: list(reference('Intake')),
      notify: channels,
      targets: list(reference('Target')),
      held: list(reference('Held')),
    },
    ['notify'],
  ),
  ...signInSchemas,
  ...changeSchemas,
  ...pictureSchemas,
  Mapping: object(
    {
      mapping: text,
      refreshSeconds: { type: 'number', description: 'Absent if the file of the mapping is disabled.' },
      ...{ sources: list(object({ store: text, key: text })), searches },
      workloads: { ...list(text), description: 'The workloads that the mapping restarts.' },
      targets: list(reference('Target')),
    },
    ['refreshSeconds', 'workloads'],
  ),
  MappingList: object({ mappings: list(reference('Mapping')), next: text }, ['next']),
  SyncAnswer: object(run),
  PruneAnswer: object({ ...run, ...skipped }, Object.keys(skipped)),
  LeftAnswer: object(
    {
      changes: integer,
      targets: list(
        object({ ...target, action: { type: 'string', enum: ['delete'] }, keys: list(reference('Key')) }),
      ),
      held: {
        ...list(reference('Held')),
        description: 'Always empty in a listing: only deletions can be held.',
      },
      ...skipped,
    },
    Object.keys(skipped),
  ),
  Record: object(record, recordOptional),
  RecordDetail: object(
    {
      ...record,
      counterpart: {
        ...reference('Record'),
        description: 'The outcome of an intent, or the intent of an outcome.',
      },
      chain: object({ previous: integer, next: integer, head: integer, fits: boolean }, ['previous', 'next']),
    },
    [...recordOptional, 'counterpart'],
  ),
  Accepted: object({
    requestId: text,
    targets: { ...integer, description: 'The number of targets that are checked because of this event.' },
  }),
  Handshake: object({ validationResponse: text }),
  RecordList: object(
    {
      records: list(reference('Record')),
      next: text,
      versions: {
        ...list(object({ store: text, key: text, version: text, fingerprint: text, firstRead: time })),
        description: 'With `trace`: the source versions that have the fingerprint.',
      },
      more: { ...boolean, description: 'With `trace`: there are more versions than were followed.' },
    },
    ['next', 'versions', 'more'],
  ),
  Verification: object(
    {
      ok: boolean,
      records: integer,
      checkpoints: integer,
      covered: { ...boolean, description: 'Whether a checkpoint covers all but the newest records.' },
      problem: object(
        {
          kind: {
            type: 'string',
            enum: ['edited', 'deleted', 'inserted', 'reordered', 'truncated', 'checkpoint'],
          },
          sequence: integer,
          after: { ...integer, description: 'For a checkpoint: the first bad record comes after this one.' },
          unknownKey: {
            ...boolean,
            description: 'For a checkpoint: it matches the chain, but is signed by an unknown key.',
          },
        },
        ['after', 'unknownKey'],
      ),
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

export type SchemaName = keyof typeof SCHEMAS;
