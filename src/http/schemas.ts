import { RUN_OUTCOMES } from '../core/target.ts';
import { changeSchemas } from './change-schemas.ts';
import { pictureSchemas } from './picture-schemas.ts';
import { recordSchemas } from './record-schemas.ts';
import {
  boolean,
  counts,
  error,
  extended,
  integer,
  list,
  object,
  oneOf,
  pinned,
  reference,
  target,
  text,
} from './schema-parts.ts';
import { serviceSchemas } from './service-schemas.ts';
import { signInSchemas } from './sign-in-schemas.ts';

// The JSON Schemas of API responses, which are only used for the OpenAPI document. Fields may be added, but never
// renamed.

/** The targets that an answer about orphans leaves out. */
const skipped = {
  waiting: {
    ...list(object({ ...target, until: object({ namespace: text, secret: text }) })),
    description: 'Targets that are kept until their mapping has created the replacement.',
  },
  unseen: {
    ...list(object({ what: text, code: text })),
    description: 'Targets or namespaces that could not be read, and may hold orphans.',
  },
} as const;

export const SCHEMAS = {
  Error: object(
    {
      ...error,
      requests: {
        ...list(text),
        description: 'With `APPROVAL_NEEDED`: the ids of the requests for approval.',
      },
      requestId: text,
    },
    ['requests'],
  ),
  Liveness: object({ ok: boolean, stalled: list(text), instance: text }, ['instance']),
  Readiness: object({ ok: boolean }),
  ...serviceSchemas,
  ...signInSchemas,
  ...recordSchemas,
  ...changeSchemas,
  ...pictureSchemas,
  RunTarget: object(
    { ...target, outcome: oneOf(RUN_OUTCOMES), ...error, keys: list(reference('Key')), pinned },
    [...Object.keys(error), 'pinned'],
  ),
  SyncAnswer: object({
    ok: boolean,
    requestId: text,
    summary: counts,
    targets: list(reference('RunTarget')),
    held: list(reference('Held')),
    warnings: list(reference('Warning')),
    pending: integer,
  }),
  ApproveAnswer: extended('SyncAnswer', { approval: reference('Approval') }),
  PruneAnswer: extended('SyncAnswer', skipped, Object.keys(skipped)),
  LeftAnswer: object(
    {
      changes: integer,
      targets: list(object({ ...target, action: oneOf(['delete']), keys: list(reference('Key')) })),
      held: {
        ...list(reference('Held')),
        description: 'Always empty in a listing: only deletions can be held.',
      },
      ...skipped,
    },
    Object.keys(skipped),
  ),
  Accepted: object({
    requestId: text,
    targets: { ...integer, description: 'The number of targets that are checked because of this event.' },
  }),
  Handshake: object({ validationResponse: text }),
} as const;

export type SchemaName = keyof typeof SCHEMAS;
