import { z } from 'zod';
import type { MappingInclude } from '../../core/mapping.ts';
import { byteSize, duration, Globs, localPath, wholeNumber } from './fields.ts';

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
    path: localPath().meta({ description: 'Path of a file or a folder.' }),
    namespaces: Globs.meta({ description: 'Namespaces that the mappings in `path` may target.' }),
    stores: Globs.meta({ description: 'Stores that the mappings in `path` may use.' }),
    keys: Globs.meta({ description: 'Keys that the mappings in `path` may read.' }),
    types: z
      .array(z.string().min(1))
      .default([])
      .meta({
        description:
          'Secret types that the mappings in `path` may write, besides `Opaque` and the built-in types for TLS, logins and registries.',
        examples: [['helm.sh/release.v1']],
      }),
    limits: Limits.prefault({}).meta({
      description:
        'Limits for all mappings in `path` together. A mapping beyond them fails with `LIMIT_REACHED`.',
    }),
  })
  .meta({
    title: 'Include',
    description: "Tenants' files. They may contain only mappings, limited to these bounds.",
  });
/** The bounds that an `include` sets for the mappings of its files. */
export type Include = z.output<typeof Include>;

/** Returns what a mapping keeps of its `include`. */
export function includeOf({ path, limits }: Include): MappingInclude {
  const { callsPerMinute, keysPerMapping, templateTimeMs, templateBytes } = limits;
  return { path, callsPerMinute, limits: { keysPerMapping, templateTimeMs, templateBytes } };
}
