import { z } from 'zod';
import { findPatternProblem } from '../../sync/target-key.ts';

// The schema of `rename`: how names of a store become keys.

/** The maximum length of a key of a Secret. */
const MAX_PREFIX = 253;

const patterns = z
  .array(
    z.strictObject({
      match: z
        .string()
        .min(1)
        .meta({
          description:
            'A regular expression for a part of the name, without look-around and back-references.',
          examples: ['^db-(.*)$'],
        }),
      to: z.string().meta({
        description: 'The text for each match. `$1` is the first group of `match`.',
        examples: ['$1'],
      }),
    }),
  )
  .min(1)
  .check((ctx) => {
    const problem = findPatternProblem(ctx.value);
    if (problem === undefined) return;
    const { index, field, expected } = problem;
    const input = ctx.value[index]?.[field];
    ctx.issues.push({ code: 'custom', input, path: [index, field], message: expected });
  })
  .optional()
  .meta({ description: 'Replaces parts of the name by patterns, one after the other. Applied first.' });

export const rename = z
  .strictObject({
    patterns,
    case: z.enum(['upper', 'lower']).optional().meta({ description: 'Letter case, after `patterns`.' }),
    replace: z
      .strictObject({
        from: z
          .string()
          .min(1)
          .meta({ description: 'The text to replace, not a regular expression.', examples: ['-'] }),
        to: z.string().meta({ description: 'The new text.', examples: ['_'] }),
      })
      .optional()
      .meta({ description: 'Replaces each occurrence of a text, after `case` and before `prefix`.' }),
    prefix: z
      .string()
      .max(MAX_PREFIX)
      .optional()
      .meta({ description: 'Prefix to add to the name.', examples: ['APP_'] }),
    invalid: z.literal('replace').optional().meta({
      description:
        'Use `_` for each character that Kubernetes does not allow in a key. By default such a name is an error.',
    }),
  })
  .optional()
  .meta({ description: 'How to make keys from names in the store.' });
