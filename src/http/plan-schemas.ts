import { PLAN_ACTIONS, UPDATE_KINDS } from '../core/words.ts';
import { integer, list, object, oneOf, pinned, reference, skipped, target, text } from './schema-parts.ts';

// The JSON Schemas of plans, and of what `prune` lists.

const planned = {
  ...target,
  action: oneOf(PLAN_ACTIONS),
  how: oneOf(UPDATE_KINDS),
  ...{ code: text, message: text, remedy: text },
  keys: list(reference('Key')),
  pinned,
} as const;

export const planSchemas = {
  Plan: object({
    changes: { ...integer, description: 'The number of targets that would change.' },
    targets: list(object(planned, ['how', 'code', 'message', 'remedy', 'pinned'])),
  }),
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
} as const;
