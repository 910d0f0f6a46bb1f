import { z } from 'zod';
import { isObject } from '../../core/json.ts';
import { DECODINGS } from '../../core/mapping.ts';
import { FORBIDDEN_TYPES } from '../../sync/checks.ts';
import {
  duration,
  LabelKey,
  LabelSelector,
  LabelValue,
  linearRegExp,
  Name,
  Namespace,
  SecretName,
  TargetKey,
  wholeNumber,
} from './fields.ts';
import { rename } from './rename.ts';

/**
 * Tells zod to check the relations between several fields even if one field is invalid, so that all problems are
 * reported together.
 */
function evenIfInvalid({ value }: z.core.ParsePayload): boolean {
  return isObject(value);
}

/** Fields that `defaults` can set for every mapping. A mapping may override them. */
const RULES = {
  refresh: duration().meta({
    description:
      'How often to refresh a target, which limits how stale it can become. The minimum is `250ms`.',
    examples: ['5m'],
  }),
  onConflict: z.enum(['refuse', 'adopt', 'adoptAndDropOwner']).meta({
    description:
      'How to treat an existing Secret that is not ours: leave it unchanged, take it over unless a controller owns it, or take it over even then.',
  }),
  onDrift: z
    .enum(['repair', 'report'])
    .meta({ description: 'How to treat a target that somebody else changed.' }),
  onSourceMissing: z
    .enum(['keep', 'removeKeys', 'delete'])
    .meta({ description: 'How to treat a target with an absent source.' }),
  softDeletedIsMissing: z.boolean().meta({
    description: 'Whether a soft-deleted value, which the store can still recover, counts as absent.',
  }),
  onMappingRemoved: z.enum(['keep', 'delete']).meta({
    description:
      'How to treat a target that leaves the configuration because its mapping, name, namespace or selector changed.',
  }),
  maxAge: duration().meta({
    description: 'Warn if a source has not been rotated for longer than this.',
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
  .meta({ title: 'Defaults', description: 'Default rules, which every mapping may override.' });

const decode = z.enum(DECODINGS).optional().meta({
  description:
    'Decode the value before it is used. Padding is required for `base64`, optional for `base64url`. `hex` takes both letter cases.',
});

/** Longer than the name of any secret that a store supports. Rules are matched against each name for each target. */
const MAX_NAME = 2_048;

// If a version consists of digits, it may be written without quotes. Numbers above 15 digits lose precision, so they
// are rejected.
const VERSION = 'a version as text (put a long number in quotes)';
const version = z
  .union([z.string().min(1).max(MAX_NAME), wholeNumber(0, 999_999_999_999_999, VERSION)], { error: VERSION })
  .transform(String)
  .meta({
    description: 'The version in the store. Default: the current version.',
    examples: ['3', 'AWSPREVIOUS'],
  });

const source = {
  store: Name.meta({ description: 'Name of a store.' }),
  key: z
    .string()
    .min(1)
    .max(MAX_NAME)
    .meta({ description: 'Name or path in the store.', examples: ['payments/db'] }),
  property: z
    .string()
    .min(1)
    .max(MAX_NAME)
    .optional()
    .meta({
      description:
        'A member of the JSON object: first by its literal name, then as a dotted path with indexes (`a.b`, `list.0.name`). Default: the whole value.',
      examples: ['password'],
    }),
  version: version.optional(),
  object: z.enum(['secret', 'certificate', 'key']).optional().meta({
    description:
      'Azure Key Vault only. `certificate` is the certificate chain as PEM, without the private key; `key` is the public JWK as JSON. Default: `secret`.',
  }),
  decode,
  optional: z.boolean().default(false).meta({
    description:
      'Continue without this source if the source is absent or lacks the property. After any other failure of the source, the target fails.',
  }),
};

export const Source = z.strictObject(source).meta({ title: 'Source', id: 'Source' });

const SourceList = z
  .strictObject({
    ...source,
    optional: source.optional.meta({
      description:
        'Continue without this source if the source is absent or lacks the property. Beside `find`: continue if the search finds nothing, even with an empty Secret.',
    }),
    key: source.key.optional().meta({
      description:
        'Name or path of a JSON object in the store. Each member of the object becomes a key of the Secret.',
    }),
    rename,
    find: z
      .strictObject({
        path: z
          .string()
          .max(MAX_NAME)
          .default('')
          .meta({
            description: 'Where to search, at a `/` boundary. The key is the name relative to this path.',
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
      .meta({
        description: 'A search in the store. Each name that the search finds becomes a key of the Secret.',
      }),
  })
  .refine(({ key, find }) => (key === undefined) !== (find === undefined), {
    error: 'either `key` or `find`, not both',
    when: evenIfInvalid,
  })
  .refine(
    ({ find, property, version, object }) =>
      find === undefined || (property ?? version ?? object) === undefined,
    { error: '`find` without `property`, `version` and `object`', when: evenIfInvalid },
  )
  .meta({ title: 'Source of many keys', id: 'SourceList' });

const Target = z
  .strictObject({
    namespace: Namespace.optional().meta({ description: 'The namespace.', examples: ['payments'] }),
    namespaces: z.array(Namespace).min(1).optional().meta({ description: 'A list of namespaces.' }),
    namespaceSelector: LabelSelector.optional().meta({ description: 'Selects namespaces by their labels.' }),
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
    immutable: z
      .boolean()
      .default(false)
      .meta({ description: 'Make the Secret immutable, so that its data cannot be changed.' }),
    recreate: z.boolean().default(false).meta({
      description:
        'Whether to delete and recreate the Secret if its type changes, or if an immutable Secret gets new data.',
    }),
    mode: z.enum(['own', 'merge']).default('own').meta({
      description:
        '`own`: only this mapping writes the Secret. `merge`: add keys to a Secret that others own.',
    }),
  })
  .refine(
    (target) =>
      [target.namespace, target.namespaces, target.namespaceSelector].filter((field) => field !== undefined)
        .length === 1,
    { error: 'exactly one of `namespace`, `namespaces` and `namespaceSelector`', when: evenIfInvalid },
  )
  .meta({ title: 'Target', id: 'Target' });

const Workload = z
  .strictObject({
    kind: z
      .enum(['Deployment', 'StatefulSet', 'DaemonSet', 'Rollout'])
      .meta({ description: 'Kind of the workload.' }),
    name: SecretName.optional().meta({ description: 'Name of the workload.' }),
    selector: LabelSelector.optional().meta({ description: 'Selects workloads by their labels.' }),
  })
  .refine(({ name, selector }) => (name === undefined) !== (selector === undefined), {
    error: 'either `name` or `selector`, not both',
    when: evenIfInvalid,
  });

export const MappingConfig = z
  .strictObject({
    name: Name.meta({ description: 'Unique name of the mapping.' }),
    target: Target.meta({ description: 'The Secret to write, and its namespaces.' }),
    data: z
      .record(TargetKey, Source)
      .default({})
      .meta({ description: 'One source for each key of the Secret.' }),
    dataFrom: z.array(SourceList).default([]).meta({ description: 'Sources that each provide many keys.' }),
    template: z
      .strictObject({
        data: z
          .record(TargetKey, z.string())
          .meta({ description: 'A Liquid template for each additional key.' }),
        only: z.boolean().default(false).meta({ description: 'Whether to drop the keys of the sources.' }),
      })
      .optional()
      .meta({ description: 'Keys that are built from other keys.' }),
    restart: z
      .array(Workload)
      .default([])
      .meta({ description: 'Workloads to restart when the content changes.' }),
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
    description: 'Writes these sources to one Secret in each of the namespaces.',
  });
export type MappingConfig = z.output<typeof MappingConfig>;
