import { z } from 'zod';
import { APPROVAL_ACTIONS } from '../../core/approval-rules.ts';
import { isTimeZone, nextOpening } from '../../core/change-windows.ts';
import { ROLES } from '../../core/words.ts';
import { isNamePattern } from '../../sync/find.ts';
import { duration, Globs, LabelKey, linearRegExp } from './fields.ts';

// The schemas of the sections that say who must agree to a change, when changes are made, and what targets must be like.

const DAY_MS = 86_400_000;
const MAX_WITHIN_MS = 30 * DAY_MS;
const MAX_WINDOW_MS = 31 * DAY_MS;

const Approvers = z
  .strictObject({
    roles: z.array(z.enum(ROLES)).min(1).optional().meta({
      description: 'People with one of these roles may approve. A role includes the roles above it.',
    }),
    groups: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .meta({ description: 'People in one of these groups, of OIDC or Kubernetes, may approve.' }),
  })
  .refine(({ roles, groups }) => (roles ?? groups) !== undefined, { error: '`roles`, `groups` or both' });

export const ApprovalRule = z
  .strictObject({
    actions: z
      .array(z.enum(APPROVAL_ACTIONS))
      .min(1)
      .meta({
        description: 'The actions that need a second person.',
        examples: [['release', 'prune']],
      }),
    namespaces: Globs.optional().meta({
      description: 'Namespaces of the targets, as globs. Default: all.',
      examples: [['payments', 'payments-*']],
    }),
    approvers: Approvers.meta({
      description: 'Who may approve, except the person who asked.',
      examples: [{ groups: ['secrets-approvers'] }],
    }),
    within: duration()
      .refine((ms) => ms <= MAX_WITHIN_MS, { error: 'a duration of at most 30d' })
      .prefault('24h')
      .meta({ description: 'How long a request stays open. After that, the command must be repeated.' }),
  })
  .transform(({ within, ...rule }) => ({ ...rule, withinMs: within }))
  .meta({
    title: 'Approval rule',
    description: 'Actions that need the approval of a second person. The first entry that matches decides.',
  });

export const ChangeWindow = z
  .strictObject({
    namespaces: Globs.meta({ description: 'Namespaces of the targets, as globs.' }),
    mappings: Globs.optional().meta({ description: 'Names of the mappings, as globs. Default: all.' }),
    allow: z.string().meta({
      description:
        'When the window opens: a cron pattern with minute, hour, day of the month, month and day of the week.',
      examples: ['0 22 * * 1-5'],
    }),
    for: duration()
      .refine((ms) => ms >= 60_000 && ms <= MAX_WINDOW_MS, { error: 'a duration from 1m to 31d' })
      .meta({ description: 'How long the window stays open, in elapsed time.', examples: ['4h'] }),
    timeZone: z
      .string()
      .refine(isTimeZone, { error: 'the name of a time zone, such as Europe/Berlin' })
      .default('UTC')
      .meta({ description: 'Time zone of `allow`.', examples: ['Europe/Berlin'] }),
    all: z
      .boolean()
      .default(false)
      .meta({ description: 'Whether repairs, first syncs and rollbacks wait for the window too.' }),
  })
  .check((ctx) => {
    const { allow, timeZone } = ctx.value;
    if (!isTimeZone(timeZone) || nextOpening({ allow, timeZone }, 0) !== undefined) return;
    ctx.issues.push({
      code: 'custom',
      input: allow,
      path: ['allow'],
      message: 'a cron pattern with five fields that matches some day, such as `0 22 * * 1-5`',
    });
  })
  .transform(({ for: forMs, ...window }) => ({ ...window, forMs }))
  .meta({
    title: 'Change window',
    description:
      'When targets may change. Targets that no entry matches are not limited. If several entries match, one open window is enough.',
  });

/** The operator writes these patterns, and there are few of them, so they are compiled here. */
function pattern() {
  return linearRegExp().refine(isNamePattern, { error: 'a regular expression without backreferences' });
}

export const PolicyRule = z
  .strictObject({
    namespaces: Globs.meta({
      description: 'Namespaces of the targets, as globs.',
      examples: [['payments', 'payments-*']],
    }),
    secretName: pattern()
      .optional()
      .meta({
        description:
          'Regular expression that the name of each Secret matches. Use `^` and `$` for the whole name.',
        examples: ['^payments-[a-z0-9-]+$'],
      }),
    keyName: pattern()
      .optional()
      .meta({
        description:
          'Regular expression that each key of a Secret matches. Use `^` and `$` for the whole key.',
        examples: ['^[A-Z][A-Z0-9_]*$'],
      }),
    requireLabels: z
      .array(LabelKey)
      .min(1)
      .optional()
      .meta({
        description: 'Labels that each mapping sets in `target.labels`. Does not apply to `mode: merge`.',
        examples: [['team', 'cost-center']],
      }),
    maxAge: duration()
      .optional()
      .meta({
        description: 'Warn if a value is older than this. The Secret stays unchanged.',
        examples: ['90d'],
      }),
    stores: Globs.optional().meta({
      description: 'Stores from which the values may come, as globs. Default: all.',
      examples: [['team-vault']],
    }),
  })
  .transform(({ maxAge, ...policy }) => ({
    ...policy,
    ...(maxAge === undefined ? {} : { maxAgeMs: maxAge }),
  }))
  .meta({
    title: 'Policy',
    description:
      'What the targets in some namespaces must be like. Every entry that matches applies. A target that violates one is refused with `POLICY_VIOLATED`.',
  });
