import { allows, allowsSearch, isFlat, matches, type Rule } from './access.ts';
import type { Bound } from './include.ts';
import type { MappingConfig } from './mapping.ts';
import type { Parsed } from './parse.ts';
import { type Finding, formatPlace, type Path, quoted } from './problem.ts';
import { namespacesIn } from './raw.ts';

interface Use {
  /** Of the key, or of the search. */
  readonly path: Path;
  /** "the key `a` of store `b`" */
  readonly what: string;
  allowedBy(rules: readonly Rule[], namespace: string): boolean;
}

/**
 * Sources that no `access` rule allows for a namespace of their mapping, or that leave the bounds of its `include`.
 * Each fails its mapping, and only that. What a selector and a search will find is judged when it is known.
 */
export function findNotAllowed(
  { access, hasAccess, mappings, stores }: Parsed,
  boundOf: (index: number) => Bound | undefined,
): readonly Finding[] {
  const flat = new Set([...stores.values()].filter(isFlat).map(({ name }) => name));
  const rules = [...access.values()];
  return [...mappings].flatMap(([index, mapping]) => {
    const path: Path = ['mappings', index];
    const uses = usesOf(mapping, path, flat);
    const named = namespacesIn(mapping, path);
    const bound = boundOf(index);
    return [
      ...(hasAccess ? notByAccess(rules, uses, named) : []),
      ...(bound === undefined ? [] : outOfBounds(bound, uses, named)),
    ];
  });
}

function usesOf({ data, dataFrom }: MappingConfig, path: Path, flat: ReadonlySet<string>): readonly Use[] {
  const ofKey = (at: Path, store: string, key: string): Use => ({
    path: [...at, 'key'],
    what: `the key ${quoted(key)} of store ${quoted(store)}`,
    allowedBy: (rules, namespace) => allows(rules, { namespace, store, key }),
  });
  const ofSearch = (at: Path, store: string, root: string): Use => ({
    path: [...at, 'find', 'path'],
    what: `all that a search ${root === '' ? 'without `path`' : `below ${quoted(root)}`} may find in store ${quoted(store)}`,
    allowedBy: (rules, namespace) =>
      allowsSearch(rules, { namespace, store, path: root, flat: flat.has(store) }),
  });
  return [
    ...Object.entries(data).map(([name, { store, key }]) => ofKey([...path, 'data', name], store, key)),
    ...dataFrom.map(({ store, key, find }, index) => {
      const at = [...path, 'dataFrom', index];
      return key === undefined ? ofSearch(at, store, find?.path ?? '') : ofKey(at, store, key);
    }),
  ];
}

function notByAccess(
  rules: readonly Rule[],
  uses: readonly Use[],
  named: readonly [Path, string][],
): Finding[] {
  return uses.flatMap(({ path, what, allowedBy }) => {
    const refused = named
      .map(([, namespace]) => namespace)
      .filter((namespace) => !allowedBy(rules, namespace));
    if (refused.length === 0 && (named.length > 0 || allowedSomewhere(rules, allowedBy))) return [];
    const where = refused.length === 0 ? 'any namespace' : refused.map((name) => quoted(name)).join(', ');
    return [notAllowed(path, `no rule of \`access\` allows ${what} in ${where}`)];
  });
}

/** A bound is one rule, so that each part can be judged, and named, by itself. */
function outOfBounds(
  { rule, place }: Bound,
  uses: readonly Use[],
  named: readonly [Path, string][],
): Finding[] {
  const include = `the \`include\` at ${formatPlace(place)}`;
  const foreign = named.filter(([, namespace]) => !rule.namespaces.some((glob) => matches(glob, namespace)));
  return [
    ...foreign.map(([path, name]) =>
      notAllowed(path, `the namespace ${quoted(name)} is out of the bounds of ${include}`),
    ),
    ...uses
      .filter(({ allowedBy }) => !allowedSomewhere([rule], allowedBy))
      .map(({ path, what }) => notAllowed(path, `${what} is out of the bounds of ${include}`)),
  ];
}

function allowedSomewhere(rules: readonly Rule[], allowedBy: Use['allowedBy']): boolean {
  return allowedBy(
    rules.map((rule) => ({ ...rule, namespaces: ['**'] })),
    'any',
  );
}

function notAllowed(path: Path, message: string): Finding {
  return { path, code: 'NOT_ALLOWED', message };
}
