import type { Json } from './node.ts';
import type { Notes } from './notes.ts';
import type { Found } from './objects.ts';
import { labelOf } from './objects.ts';

/** What our own configuration would refuse is not handed out as if it were good. */
export interface Checks {
  check(mapping: Json, of: Found, notes: Notes): void;
}

/** @param own The bridge's own namespace. */
export function createChecks(schema: Schema, own: string): Checks {
  const claims = new Map<string, { readonly by: string; readonly isMerge: boolean }>();
  return {
    check(mapping, of, notes) {
      const problem = problemOf(schema, mapping);
      if (problem !== undefined) notes.lost(problem.at, problem.what, 'Write the mapping by hand.');
      const { mode, secret, ...target } = mapping.target as Target;
      const isMerge = mode === 'merge';
      const namespaces = target.namespaces ?? (target.namespace === undefined ? [] : [target.namespace]);
      if (namespaces.includes(own))
        notes.lost(
          'metadata.namespace',
          "is the bridge's own namespace, where no target may be",
          'Run the bridge in a namespace of its own, and say its name with --own-namespace.',
        );
      for (const namespace of namespaces) {
        const id = `${namespace}/${secret}`;
        const earlier = claims.get(id);
        if (earlier !== undefined && !(earlier.isMerge && isMerge))
          notes.lost(
            'spec.target',
            `${earlier.by} writes the Secret \`${id}\` too`,
            'Put both into one mapping, or let both merge.',
          );
        else if (!notes.incomplete) claims.set(id, { by: labelOf(of), isMerge });
      }
    },
  };
}

interface Target {
  readonly namespace?: string;
  readonly namespaces?: readonly string[];
  readonly secret: string;
  readonly mode?: string;
}

export interface Schema {
  safeParse(value: unknown): {
    readonly success: boolean;
    readonly error?: {
      readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];
    };
  };
}

export function problemOf(
  schema: Schema,
  value: Json,
): { readonly at: string; readonly what: string } | undefined {
  const issue = schema.safeParse(value).error?.issues[0];
  if (issue === undefined) return undefined;
  return {
    at: issue.path.map(String).join('.'),
    what: `is not what the configuration takes: ${issue.message}`,
  };
}
