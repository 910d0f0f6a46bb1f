import { matches } from '../../core/glob.ts';
import { nameRulesOf } from '../../providers/registry.ts';
import type { Bound } from '../files/include.ts';
import { holdsUnclear } from '../files/merge.ts';
import { listOf, mappingsIn, memberOf, namespacesIn, sourcesIn, textOf } from '../files/raw.ts';
import type { Located } from '../files/yaml.ts';
import type { Parsed } from '../parse.ts';
import { type Finding, formatPlace, type Path, quoted } from '../problem.ts';
import { allows, allowsSearch, allowsType, isPlainKey, type Rule } from '../shape/access.ts';
import { Namespace } from '../shape/fields.ts';

/** Explanation for a key that no rule can allow. */
export const AMBIGUOUS_KEY = ', which may be read as another key,';

interface Use {
  /** The path of the key or the search in the configuration. */
  readonly path: Path;
  /** A description such as "the key `a` of store `b`". */
  readonly what: string;
  allowedBy(rules: readonly Rule[], namespace: string): boolean;
}

/**
 * Finds sources that no `access` rule allows in a namespace of their mapping. Also finds sources outside the bounds
 * that an `include` sets for their mapping. Each violation fails only its own mapping. The results of selectors and
 * searches are checked at run time. The check uses the unvalidated files, so that other mistakes do not hide
 * violations.
 */
export function findAccessViolations(
  root: Located,
  { access }: Pick<Parsed, 'access'>,
  bound: Bound | undefined,
): readonly Finding[] {
  const flat = new Set(
    listOf(root, 'stores').flatMap((store) =>
      nameRulesOf(textOf(store, 'kind') ?? '')?.naming.isFlat ? (textOf(store, 'name') ?? []) : [],
    ),
  );
  const rules = rulesIn(root, access);
  if (rules === undefined && bound === undefined) return [];
  return mappingsIn(root).flatMap(([index, mapping]) => {
    const path: Path = ['mappings', index];
    const uses = usesOf(mapping, path, flat);
    // The schema already reports an invalid namespace name. It may be a typo of an allowed name, so do not report it
    // twice.
    const named = namespacesIn(mapping, path).filter(([, name]) => Namespace.safeParse(name).success);
    return [
      ...(rules === undefined ? [] : accessViolations(rules, uses, named)),
      ...(bound === undefined ? [] : includeViolations(bound, uses, named)),
      ...(bound === undefined ? [] : typeViolations(bound, mapping, path)),
    ];
  });
}

/**
 * Returns `undefined` if there are no rules, or if one of the rules is invalid. It is unknown what an invalid rule was
 * meant to allow.
 */
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
      // No rule allows an ambiguous key, not even `**`.
      const hint = isPlainKey(key) ? '' : AMBIGUOUS_KEY;
      return [
        {
          path: [...path, 'key'],
          what: `the key ${quoted(key)}${hint} of store ${quoted(store)}`,
          allowedBy: (rules, namespace) => allows(rules, { namespace, store, key }),
        },
      ];
    }
    if (typeof find !== 'object' || find === null) return [];
    const root = textOf(find, 'path') ?? '';
    return [
      {
        path: [...path, 'find', 'path'],
        what: `all results of a search ${root === '' ? 'without `path`' : `below ${quoted(root)}`} in store ${quoted(store)}`,
        allowedBy: (rules, namespace) =>
          allowsSearch(rules, { namespace, store, path: root, flat: flat.has(store) }),
      },
    ];
  });
}

function accessViolations(
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

/**
 * Finds the namespaces and sources outside the bounds of an `include`. The bounds are a single rule, so a namespace and
 * a source can be reported separately.
 */
function includeViolations(
  { rule, place }: Bound,
  uses: readonly Use[],
  named: readonly [Path, string][],
): Finding[] {
  const include = `the \`include\` at ${formatPlace(place)}`;
  const foreign = named.filter(([, namespace]) => !rule.namespaces.some((glob) => matches(glob, namespace)));
  return [
    ...foreign.map(([path, name]) =>
      notAllowed(path, `the namespace ${quoted(name)} is outside the bounds of ${include}`),
    ),
    ...uses
      .filter(({ allowedBy }) => !allowedSomewhere([rule], allowedBy))
      .map(({ path, what }) => notAllowed(path, `${what} is outside the bounds of ${include}`)),
  ];
}

function typeViolations({ rule, place }: Bound, mapping: unknown, path: Path): readonly Finding[] {
  const type = textOf(memberOf(mapping, 'target'), 'type');
  if (type === undefined || allowsType(rule.types, type)) return [];
  const message = `the type ${quoted(type)} is not in \`types\` of the \`include\` at ${formatPlace(place)}`;
  return [{ path: [...path, 'target', 'type'], code: 'TYPE_FORBIDDEN', message }];
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
