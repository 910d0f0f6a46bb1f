import { RUN_OUTCOMES } from '../core/target.ts';
import { changeSchemas } from './change-schemas.ts';
import { pictureSchemas } from './picture-schemas.ts';
import { planSchemas } from './plan-schemas.ts';
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
  skipped,
  target,
  text,
} from './schema-parts.ts';
import { serviceSchemas } from './service-schemas.ts';
import { signInSchemas } from './sign-in-schemas.ts';

// The JSON Schemas of API responses, which are only used for the OpenAPI document. Fields may be added, but never
// renamed.

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
  ...planSchemas,
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
  Accepted: object({
    requestId: text,
    targets: { ...integer, description: 'The number of targets that are checked because of this event.' },
  }),
  Handshake: object({ validationResponse: text }),
} as const;

export type SchemaName = keyof typeof SCHEMAS;
