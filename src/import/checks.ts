import type { z } from 'zod';
import { check } from '../config/messages.ts';
import type { Json, Notes } from './node.ts';
import type { ToolObject } from './objects.ts';
import { labelOf } from './objects.ts';

export interface Refusal {
  readonly at: string;
  readonly what: string;
  /** A more specific remedy than "write it by hand". */
  readonly todo?: string;
}

/** The stores and mappings that our configuration check rejects, with their names as keys. */
export interface Refused {
  readonly stores: ReadonlyMap<string, Refusal>;
  readonly mappings: ReadonlyMap<string, Refusal>;
}

/** Rejects mappings that our configuration check would reject. */
export interface Checks {
  check(mapping: Json, of: ToolObject, notes: Notes): void;
}

/** @param own The namespace in which secretbridge itself runs. */
export function createChecks(schema: z.ZodType, own: string): Checks {
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
          "is secretbridge's own namespace, which cannot contain targets",
          'Run secretbridge in its own namespace, and set it with --own-namespace.',
        );
      for (const namespace of namespaces) {
        const id = `${namespace}/${secret}`;
        const earlier = claims.get(id);
        if (earlier !== undefined && !(earlier.isMerge && isMerge))
          notes.lost(
            'spec.target',
            `${earlier.by} also writes the Secret \`${id}\``,
            'Combine both into one mapping, or make both merge their keys into the Secret.',
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

export function problemOf(schema: z.ZodType, value: Json): Refusal | undefined {
  const at = placeOfProto(value);
  if (at !== undefined) return { at, what: 'is a name that the configuration does not support' };
  const checked = check(schema, value, []);
  const [finding] = checked.kind === 'invalid' ? checked.findings : [];
  if (finding === undefined) return undefined;
  return { at: finding.path.join('.'), what: `is not valid in the configuration: ${finding.message}` };
}

/**
 * Returns the path of a member `__proto__`. Kubernetes allows this name, but our configuration loader rejects a file
 * that contains it anywhere.
 */
function placeOfProto(value: object): string | undefined {
  for (const [name, member] of Object.entries(value) as [string, unknown][]) {
    if (name === '__proto__') return name;
    const below = typeof member === 'object' && member !== null ? placeOfProto(member) : undefined;
    if (below !== undefined) return `${name}.${below}`;
  }
  return undefined;
}
