import type { Bound } from '../files/include.ts';
import { holdsUnclear } from '../files/merge.ts';
import { listOf, memberOf, namespacesIn, sourcesIn, textOf } from '../files/raw.ts';
import type { Located } from '../files/yaml.ts';
import type { Parsed } from '../parse.ts';
import { type Finding, formatPlace, type Path, quoted } from '../problem.ts';
import { allows, allowsSearch, isPlainKey, matches, type Rule } from '../shape/access.ts';
import { Namespace } from '../shape/fields.ts';
import { namingOf } from '../shape/naming.ts';

/** Of a key that no rule allows, whatever it says. */
export const AMBIGUOUS = ', which might be taken for another one,';

interface Use {
  /** Of the key, or of the search. */
  readonly path: Path;
  /** "the key `a` of store `b`" */
  readonly what: string;
  allowedBy(rules: readonly Rule[], namespace: string): boolean;
}

/**
 * Sources that no `access` rule allows for a namespace of their mapping, or that leave the bounds of its `include`.
 * Each fails its mapping, and only that. What a selector and a search will find is judged when it is known. Mappings
 * are taken as they stand in the files, so that other mistakes in one hide nothing.
 */
export function findNotAllowed(
  root: Located,
  { access }: Parsed,
  boundOf: (index: number) => Bound | undefined,
): readonly Finding[] {
  const flat = new Set(
    listOf(root, 'stores').flatMap((store) =>
      namingOf({ kind: textOf(store, 'kind') ?? '' }).isFlat ? (textOf(store, 'name') ?? []) : [],
    ),
  );
  const rules = rulesIn(root, access);
  return listOf(root, 'mappings').flatMap((mapping, index) => {
    const path: Path = ['mappings', index];
    const uses = usesOf(mapping, path, flat);
    // One that is no name of a namespace is said already, and may be meant for one that is allowed.
    const named = namespacesIn(mapping, path).filter(([, name]) => Namespace.safeParse(name).success);
    const bound = boundOf(index);
    return [
      ...(rules === undefined ? [] : notByAccess(rules, uses, named)),
      ...(bound === undefined ? [] : outOfBounds(bound, uses, named)),
    ];
  });
}

/** Nothing: there are none, or what they say is not clear. What a mistaken rule is meant to allow is not known. */
function rulesIn(root: Located, valid: Parsed['access']): readonly Rule[] | undefined {
  const access = memberOf(root.value, 'access');
  if (!Array.isArray(access) || access.length > valid.size || holdsUnclear(root, ['access']))
    return undefined;
  return [...valid.values()];
}

function usesOf(mapping: unknown, mappingPath: Path, flat: ReadonlySet<string>): readonly Use[] {
  return sourcesIn(mapping, mappingPath).flatMap(([path, source]): Use[] => {
    const store = textOf(source, 'store');
    const key = textOf(source, 'key');
    const find = memberOf(source, 'find');
    if (store === undefined || key === '') return [];
    if (key !== undefined) {
      // Whatever the rules say, `**` included.
      const why = isPlainKey(key) ? '' : AMBIGUOUS;
      return [
        {
          path: [...path, 'key'],
          what: `the key ${quoted(key)}${why} of store ${quoted(store)}`,
          allowedBy: (rules, namespace) => allows(rules, { namespace, store, key }),
        },
      ];
    }
    if (typeof find !== 'object' || find === null) return [];
    const root = textOf(find, 'path') ?? '';
    return [
      {
        path: [...path, 'find', 'path'],
        what: `all that a search ${root === '' ? 'without `path`' : `below ${quoted(root)}`} may find in store ${quoted(store)}`,
        allowedBy: (rules, namespace) =>
          allowsSearch(rules, { namespace, store, path: root, flat: flat.has(store) }),
      },
    ];
  });
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
