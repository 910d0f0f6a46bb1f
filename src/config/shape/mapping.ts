import { z } from 'zod';
import { isObject } from '../../core/json.ts';
import { FORBIDDEN_TYPES } from '../../sync/checks.ts';
import {
  duration,
  LabelKey,
  LabelValue,
  MatchLabels,
  Name,
  Namespace,
  SecretName,
  TargetKey,
  wholeNumber,
} from './fields.ts';
import { linearRegExp } from './linear-regexp.ts';

/** Rules about several fields run also where a field by itself is wrong, so that all shows at once. */
function evenIfInvalid({ value }: z.core.ParsePayload): boolean {
  return isObject(value);
}

/** What `defaults` gives to every mapping, and a mapping may say for itself. */
const RULES = {
  refresh: duration().meta({
    description: 'How stale a target may become. Less than `250ms` counts as that.',
    examples: ['5m'],
  }),
  onConflict: z.enum(['refuse', 'adopt', 'adoptAndDropOwner']).meta({
    description:
      'A Secret of this name exists and is not ours: leave it alone, take it over, or take it over from its controller too.',
  }),
  onDrift: z.enum(['repair', 'report']).meta({ description: 'Somebody changed a target by hand.' }),
  onSourceMissing: z.enum(['keep', 'removeKeys', 'delete']).meta({ description: 'A source is absent.' }),
  softDeletedIsMissing: z.boolean().meta({
    description: 'Whether what is deleted in the store, but can be recovered there, counts as absent.',
  }),
  onMappingRemoved: z.enum(['keep', 'delete']).meta({
    description:
      'The target left the configuration: its mapping, its name, its namespace or the selector changed.',
  }),
  maxAge: duration().meta({
    description: 'Warn when a source has not been rotated for longer.',
    examples: ['90d'],
  }),
};

export const Defaults = z
  .strictObject({
    refresh: RULES.refresh.prefault('5m'),
    onConflict: RULES.onConflict.default('refuse'),
    onDrift: RULES.onDrift.default('repair'),
    onSourceMissing: RULES.onSourceMissing.default('keep'),
    softDeletedIsMissing: RULES.softDeletedIsMissing.default(false),
    onMappingRemoved: RULES.onMappingRemoved.default('keep'),
    maxAge: RULES.maxAge.optional(),
  })
  .meta({ title: 'Defaults', description: 'Rules that every mapping may override.' });

const decode = z.enum(['base64', 'base64url']).optional().meta({
  description:
    'Decode the value before it is used. Padding is required for `base64`, optional for `base64url`.',
});

// A version of digits only is easily written without quotes. Past 15 digits a number is no longer exact.
const VERSION = 'a version as text (in quotes when it is a long number)';
const version = z
  .union([z.string().min(1), wholeNumber(0, 999_999_999_999_999, VERSION)], { error: VERSION })
  .transform(String)
  .meta({
    description: "The store's own version. The current one when left out.",
    examples: ['3', 'AWSPREVIOUS'],
  });

const source = {
  store: Name.meta({ description: 'Name of a store.' }),
  key: z
    .string()
    .min(1)
    .meta({ description: 'Name or path in the store.', examples: ['payments/db'] }),
  property: z
    .string()
    .min(1)
    .optional()
    .meta({
      description:
        'A member of the JSON object: its literal name first, then a dotted path with indexes (`a.b`, `list.0.name`). The whole value when left out.',
      examples: ['password'],
    }),
  version: version.optional(),
  object: z.enum(['secret', 'certificate', 'key']).optional().meta({
    description:
      'Azure Key Vault only. `certificate` is the chain as PEM without its key, `key` the public JWK as JSON. Default: `secret`.',
  }),
  decode,
  optional: z.boolean().default(false).meta({
    description: 'Go on without this source when it is absent or lacks the property. Covers nothing else.',
  }),
};

export const Source = z.strictObject(source).meta({ title: 'Source', id: 'Source' });

const rename = z
  .strictObject({
    case: z.enum(['upper', 'lower']).optional().meta({ description: 'Applied first.' }),
    prefix: z
      .string()
      .optional()
      .meta({ description: 'Put before the name, as written.', examples: ['APP_'] }),
    invalid: z.literal('replace').optional().meta({
      description:
        '`_` for each character that Kubernetes does not allow in a key. Otherwise such a name is an error.',
    }),
  })
  .optional()
  .meta({ description: 'How keys are made from names in the store.' });

const SourceList = z
  .strictObject({
    ...source,
    key: source.key
      .optional()
      .meta({ description: 'A value that is a JSON object: one key for each member.' }),
    rename,
    find: z
      .strictObject({
        path: z
          .string()
          .default('')
          .meta({
            description: 'Where to search, cut at a `/`. The key is the name relative to it.',
            examples: ['features/'],
          }),
        name: linearRegExp()
          .optional()
          .meta({
            description:
              'A regular expression for the relative name, without look-around and back-references.',
            examples: ['^flag-'],
          }),
        tags: z
          .record(z.string(), z.string())
          .default({})
          .meta({ description: 'Tags that must all match exactly.' }),
      })
      .optional()
      .meta({ description: 'A search: one key for each name that it finds.' }),
  })
  .refine(({ key, find }) => (key === undefined) !== (find === undefined), {
    error: 'either `key` or `find`, and not both',
    when: evenIfInvalid,
  })
  .refine(
    ({ find, property, version, object, optional }) =>
      find === undefined || ((property ?? version ?? object) === undefined && !optional),
    { error: '`find` without `property`, `version`, `object` and `optional`', when: evenIfInvalid },
  )
  .meta({ title: 'Source of many keys', id: 'SourceList' });

const Target = z
  .strictObject({
    namespace: Namespace.optional().meta({ description: 'The namespace.', examples: ['payments'] }),
    namespaces: z.array(Namespace).min(1).optional().meta({ description: 'Several namespaces.' }),
    namespaceSelector: MatchLabels.optional().meta({ description: 'Every namespace with these labels.' }),
    secret: SecretName.optional().meta({ description: "Name of the Secret. Default: the mapping's name." }),
    type: z
      .string()
      .min(1)
      .max(253)
      .check((ctx) => {
        if (!FORBIDDEN_TYPES.includes(ctx.value)) return;
        ctx.issues.push({
          code: 'custom',
          input: ctx.value,
          message: 'a type that grants no access to the cluster; Secrets of this type are never written',
          params: { code: 'TYPE_FORBIDDEN' },
        });
      })
      .default('Opaque')
      .meta({ description: 'Type of the Secret.', examples: ['Opaque', 'kubernetes.io/tls'] }),
    labels: z.record(LabelKey, LabelValue).default({}).meta({ description: 'Labels to put on the Secret.' }),
    annotations: z
      .record(LabelKey, z.string())
      .default({})
      .meta({ description: 'Annotations to put on the Secret.' }),
    immutable: z.boolean().default(false).meta({ description: 'Forbid changes of the data to everybody.' }),
    recreate: z.boolean().default(false).meta({
      description:
        'Whether a changed type, or new data of an immutable Secret, may delete it and create it anew.',
    }),
    mode: z.enum(['own', 'merge']).default('own').meta({
      description:
        '`own`: the Secret is ours alone. `merge`: our keys are added to a Secret that others own.',
    }),
  })
  .refine(
    (target) =>
      [target.namespace, target.namespaces, target.namespaceSelector].filter((given) => given !== undefined)
        .length === 1,
    { error: 'exactly one of `namespace`, `namespaces` and `namespaceSelector`', when: evenIfInvalid },
  )
  .meta({ title: 'Target', id: 'Target' });

const Workload = z
  .strictObject({
    kind: z
      .enum(['Deployment', 'StatefulSet', 'DaemonSet', 'Rollout'])
      .meta({ description: 'Kind of the workload.' }),
    name: SecretName.optional().meta({ description: 'Its name.' }),
    selector: MatchLabels.optional().meta({ description: 'Or every one with these labels.' }),
  })
  .refine(({ name, selector }) => (name === undefined) !== (selector === undefined), {
    error: 'either `name` or `selector`, and not both',
    when: evenIfInvalid,
  });

export const MappingConfig = z
  .strictObject({
    name: Name.meta({ description: 'Unique name of the mapping.' }),
    target: Target.meta({ description: 'Which Secret, in which namespaces.' }),
    data: z
      .record(TargetKey, Source)
      .default({})
      .meta({ description: 'One source for each key of the Secret.' }),
    dataFrom: z.array(SourceList).default([]).meta({ description: 'Sources of many keys.' }),
    template: z
      .strictObject({
        data: z
          .record(TargetKey, z.string())
          .meta({ description: 'A Liquid template for each key it adds.' }),
        only: z.boolean().default(false).meta({ description: 'Drop the keys of the sources.' }),
      })
      .optional()
      .meta({ description: 'Keys that are put together from the others.' }),
    restart: z
      .array(Workload)
      .default([])
      .meta({ description: 'Workloads to roll when the content changes.' }),
    refresh: RULES.refresh.optional(),
    onConflict: RULES.onConflict.optional(),
    onDrift: RULES.onDrift.optional(),
    onSourceMissing: RULES.onSourceMissing.optional(),
    softDeletedIsMissing: RULES.softDeletedIsMissing.optional(),
    onMappingRemoved: RULES.onMappingRemoved.optional(),
    maxAge: RULES.maxAge.optional(),
  })
  .meta({
    title: 'Mapping',
    description: 'These sources, shaped like this, become that Secret in those namespaces.',
  });
export type MappingConfig = z.output<typeof MappingConfig>;
