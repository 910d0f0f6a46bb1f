import { z } from 'zod';
import type { MappingInclude } from '../../core/mapping.ts';
import { byteSize, duration, Globs, LabelSelector, localPath, wholeNumber } from './fields.ts';

const MAX_COUNT = 1_000_000;

const Limits = z
  .strictObject({
    mappings: wholeNumber(1, MAX_COUNT).default(500).meta({ description: 'Maximum number of mappings.' }),
    targets: wholeNumber(1, MAX_COUNT).default(2000).meta({ description: 'Maximum number of targets.' }),
    keysPerMapping: wholeNumber(1, MAX_COUNT)
      .default(200)
      .meta({ description: 'Maximum number of keys that one mapping reads or writes for one target.' }),
    refresh: duration().prefault('1m').meta({
      description: 'Shortest `refresh`. A shorter one counts as this one, and `validate` warns of it.',
    }),
    callsPerMinute: wholeNumber(1, MAX_COUNT).default(600).meta({
      description:
        'Maximum calls to stores per minute, for each process. Each key counts as a call. Further work waits.',
    }),
    templateTime: duration()
      .prefault('1s')
      .meta({ description: 'Maximum time to render the templates of one mapping.' }),
    templateBytes: byteSize(16 * 1024 ** 2)
      .prefault('1MiB')
      .meta({
        description: 'Maximum size of all templates together, and of what the templates of one mapping give.',
      }),
  })
  .transform(({ refresh, templateTime, ...limits }) => ({
    ...limits,
    refreshMs: refresh,
    templateTimeMs: templateTime,
  }));

export const Include = z
  .strictObject({
    path: localPath().optional().meta({ description: 'Path of a file or a folder.' }),
    configMaps: LabelSelector.optional().meta({
      description:
        "Instead of `path`: the labels of the teams' ConfigMaps. The key `mappings.yaml` of each ConfigMap contains mappings for its own namespace. The `limits` are for each namespace.",
    }),
    namespaces: Globs.meta({
      description:
        'Namespaces that the mappings may target. For `configMaps`: the namespaces of the ConfigMaps.',
    }),
    stores: Globs.meta({
      description: 'Stores that the mappings may use. For `configMaps`, `{namespace}` is the namespace.',
    }),
    keys: Globs.meta({
      description: 'Keys that the mappings may read. For `configMaps`, `{namespace}` is the namespace.',
    }),
    types: z
      .array(z.string().min(1))
      .default([])
      .meta({
        description:
          'Secret types that the mappings may write, besides `Opaque` and the built-in types for TLS, logins and registries.',
        examples: [['helm.sh/release.v1']],
      }),
    statusAnnotation: z.boolean().optional().meta({
      description:
        'Only for `configMaps`: write the state of the mappings to annotations of the ConfigMap, for health checks of GitOps tools. This needs the right to patch ConfigMaps. Default: false.',
    }),
    limits: Limits.prefault({}).meta({
      description: 'Limits for all mappings together. A mapping beyond them fails with `LIMIT_REACHED`.',
    }),
  })
  .refine(({ path, configMaps }) => (path === undefined) !== (configMaps === undefined), {
    error: 'either `path` or `configMaps`',
  })
  .refine(({ path, statusAnnotation }) => path === undefined || statusAnnotation !== true, {
    path: ['statusAnnotation'],
    error: '`statusAnnotation` needs `configMaps`',
  })
  // The ConfigMaps of each namespace have a `path` of their own; see `boundsIn`.
  .transform(({ path = '', ...rest }) => ({ ...rest, path }))
  .meta({
    title: 'Include',
    description: "Tenants' files or ConfigMaps. They may contain only mappings, limited to these bounds.",
  });
/** The bounds that an `include` sets for the mappings of its files. */
export type Include = z.output<typeof Include>;

const keptParts = new WeakMap<Include, MappingInclude>();

/** Returns what a mapping keeps of its `include`. All of its mappings share one object, to save memory. */
export function includeOf(include: Include): MappingInclude {
  const { path, limits } = include;
  const { callsPerMinute, keysPerMapping, templateTimeMs, templateBytes } = limits;
  const kept = keptParts.get(include) ?? {
    ...{ path, callsPerMinute },
    limits: { keysPerMapping, templateTimeMs, templateBytes },
    bounds: include,
  };
  keptParts.set(include, kept);
  return kept;
}

const MAX_KNOWN = 10_000;

/** The bounds of each namespace, by the bounds of all namespaces. */
const ownBounds = new WeakMap<Include, Map<string, Include>>();

/**
 * Returns the bounds of the ConfigMaps of one namespace. Each namespace has limits of its own, so that no team can use
 * up those of another one.
 *
 * @param index The number of earlier entries of `include` for ConfigMaps of this namespace.
 */
export function boundsIn(namespace: string, include: Include, index: number): Include {
  const { stores, keys, ...rule } = include;
  const named = (globs: readonly string[]) => globs.map((glob) => glob.replaceAll(NAMESPACE, namespace));
  const path = `configmap:${namespace}${index === 0 ? '' : ` (${index + 1})`}`;
  const known = ownBounds.get(include) ?? new Map<string, Include>();
  // Namespaces come and go.
  if (known.size >= MAX_KNOWN) known.clear();
  ownBounds.set(include, known);
  const own = known.get(path) ?? {
    ...{ ...rule, path, namespaces: [namespace] },
    ...{ stores: named(stores), keys: named(keys) },
  };
  known.set(path, own);
  return own;
}

const NAMESPACE = '{namespace}';
