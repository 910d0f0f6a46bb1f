import { allows } from './access.ts';
import type { Parsed } from './parse.ts';
import { type Finding, type Path, quoted } from './problem.ts';

/** Sources that no `access` rule allows for a namespace of their mapping. Each fails its mapping, and only that. */
export function findNotAllowed({ access, hasAccess, mappings }: Parsed): readonly Finding[] {
  if (!hasAccess) return [];
  const rules = [...access.values()];
  return [...mappings].flatMap(([index, { target, data, dataFrom }]) => {
    const namespaces = target.namespace === undefined ? (target.namespaces ?? []) : [target.namespace];
    const sources: [Path, { store: string; key?: string | undefined }][] = [];
    for (const [name, source] of Object.entries(data))
      sources.push([['mappings', index, 'data', name], source]);
    for (const [at, source] of dataFrom.entries())
      sources.push([['mappings', index, 'dataFrom', at], source]);
    return sources.flatMap(([path, { store, key }]) => {
      // What a search finds is known, and judged, only when it has run.
      if (key === undefined) return [];
      const refused = namespaces.filter((namespace) => !allows(rules, { namespace, store, key }));
      if (refused.length === 0) return [];
      const where = refused.map((namespace) => quoted(namespace)).join(', ');
      const message = `no rule of \`access\` allows the key ${quoted(key)} of store ${quoted(store)} in ${where}`;
      return [{ path: [...path, 'key'], code: 'NOT_ALLOWED' as const, message }];
    });
  });
}
