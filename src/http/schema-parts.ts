import { ACTOR_KINDS, REVIEW_STATES } from '../audit/entry.ts';
import { APPROVAL_ACTIONS } from '../core/approval-rules.ts';
import { APPROVAL_STATES } from '../service/approvals.ts';

// Parts of the schemas of API responses.

export const text = { type: 'string' } as const;
export const integer = { type: 'integer' } as const;
export const boolean = { type: 'boolean' } as const;
export const time = { type: 'string', format: 'date-time' } as const;
export const nullable = <Type extends string>(schema: { readonly type: Type }) =>
  ({ ...schema, type: [schema.type, 'null'] }) as const;
export const health = { type: 'string', enum: ['up', 'degraded', 'down'] } as const;
export const list = (items: object) => ({ type: 'array', items }) as const;
export const reference = (name: string) => ({ $ref: `${name}#` }) as const;

export function object(properties: Readonly<Record<string, object>>, optional: readonly string[] = []) {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, required } as const;
}

/** A problem of the configuration. */
export const problem = object(
  {
    file: text,
    line: integer,
    column: integer,
    path: text,
    code: text,
    message: text,
    suggestion: text,
  },
  ['suggestion'],
);

export const target = { mapping: text, namespace: text, secret: text } as const;

/** The targets that an answer about orphans leaves out. */
export const skipped = {
  waiting: {
    ...list(object({ ...target, until: object({ namespace: text, secret: text }) })),
    description: 'Targets that are kept until their mapping has created the replacement.',
  },
  unseen: {
    ...list(object({ what: text, code: text })),
    description: 'Targets or namespaces that could not be read, and may hold orphans.',
  },
} as const;

export const searches = {
  ...list(object({ store: text, path: text, name: text }, ['name'])),
  description: 'The searches of the mapping. An empty path searches the whole store.',
} as const;

export const actor = object(
  {
    kind: { type: 'string', enum: ACTOR_KINDS },
    name: text,
    subject: text,
    aliases: list(text),
    address: text,
  },
  ['name', 'subject', 'aliases', 'address'],
);

/** Members that only the records of requests, reads and configurations have. */
export const recordExtras = {
  requested: {
    ...object({ action: { type: 'string', enum: APPROVAL_ACTIONS }, argument: text, until: time }),
    description: 'For a `request`: what waits for approval.',
  },
  approval: {
    ...integer,
    description: 'The sequence of the `request` that the record decides about, or that allowed the action.',
  },
  count: integer,
  since: time,
  changes: list(object({ path: text, before: text, after: text }, ['before', 'after'])),
  configHash: text,
  revision: text,
} as const;

export const auditDoubt = { code: text, unverifiable: integer } as const;

export const pinned = {
  ...integer,
  description: 'The sequence of the record whose source versions the target is pinned to.',
} as const;

/** What works, but needs attention. Warnings about the service have no target. */
export const warnings = list(object({ code: text, ...target, message: text }, Object.keys(target)));

/** A request for approval. */
export const approval = object(
  {
    id: text,
    sequence: { ...integer, description: "The sequence of the request's record." },
    action: { type: 'string', enum: APPROVAL_ACTIONS },
    command: { ...text, description: 'The action as a command.' },
    ...target,
    keys: object({ added: list(text), changed: list(text), removed: list(text) }),
    state: { type: 'string', enum: APPROVAL_STATES },
    requestedBy: text,
    requestedAt: time,
    until: { ...time, description: 'The request is open until this time.' },
    requestId: text,
    decidedBy: text,
    decidedAt: time,
  },
  ['decidedBy', 'decidedAt'],
);

export const requests = {
  ...list(text),
  description: 'With `APPROVAL_NEEDED`: the ids of the requests for approval.',
} as const;

export const expiresAt = {
  ...time,
  description: 'When the first source or certificate of the target expires.',
} as const;

export const channels = {
  ...list(
    object({ name: text, kind: text, state: health, lastSuccess: time, code: text }, ['lastSuccess', 'code']),
  ),
  description: 'The channels of notifications. Absent if there are none.',
} as const;

/** A source of events. */
export const intake = object(
  {
    kind: { type: 'string', enum: ['sqs', 'eventGrid', 'vault', 'webhook'] },
    name: text,
    state: health,
    lastEvent: time,
    code: text,
  },
  ['lastEvent', 'code'],
);

/** The last review of a record. */
export const reviewed = object(
  {
    state: { type: 'string', enum: REVIEW_STATES },
    by: text,
    time,
    note: text,
    followUp: { ...text, description: 'The day on which somebody looks at the record again.' },
    sequence: { ...integer, description: 'The sequence of the review record.' },
  },
  ['by', 'note', 'followUp'],
);
