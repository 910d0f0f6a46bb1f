import { AppError } from '../../core/errors.ts';
import { coversPrefix, matches } from '../../core/glob.ts';
import type { Mapping } from '../../core/mapping.ts';
import { nameRulesOf } from '../../providers/registry.ts';
import { ORDINARY_TYPES } from '../../sync/checks.ts';

/** Allows targets in these namespaces to use these keys of these stores. Each entry is a glob for the whole name. */
export interface Rule {
  readonly namespaces: readonly string[];
  readonly stores: readonly string[];
  readonly keys: readonly string[];
}

/** The mapping that wants to use something. Its `include` has the bounds that apply to it. */
interface User {
  readonly mapping: Pick<Mapping, 'include'>;
}

export interface KeyUse {
  /** `undefined`: the target has no namespace yet, so check whether any namespace may use the key. */
  readonly namespace: string | undefined;
  readonly store: string;
  readonly key: string;
}

export interface SearchUse {
  /** See `KeyUse`. */
  readonly namespace: string | undefined;
  readonly store: string;
  /** The `path` of the search's `find`. */
  readonly path: string;
}

/**
 * Decides which keys and namespaces mappings may use. The `access` rules apply to all mappings, and the bounds of an
 * `include` also apply to the mappings of tenants' files.
 */
export interface Access {
  allows(use: KeyUse & User): boolean;
  /** Whether a search may run. Call `allows` for each result. */
  allowsSearch(use: SearchUse & User): boolean;
  /** Whether a mapping may target a namespace. If not, the mapping reads and claims nothing there. */
  allowsNamespace(use: User & { readonly namespace: string }): boolean;
  /**
   * Returns an error for the namespace in which secretbridge itself runs. No mapping may target this namespace,
   * regardless of the rules.
   */
  forbiddenNamespace(namespace: string | undefined): AppError | undefined;
  /** Returns an error if the bounds of an `include` do not allow this mapping to write a Secret of this type. */
  forbiddenType(use: User & { readonly type: string }): AppError | undefined;
}

export interface AccessConfig {
  /** `undefined`: everything is allowed. */
  readonly access?: readonly Rule[] | undefined;
  readonly stores: readonly { readonly name: string; readonly kind: string }[];
}

/**
 * @param ownNamespace The namespace in which secretbridge itself runs. It contains the credentials of secretbridge, so
 * no mapping may target it.
 */
export function createAccess(
  { access, stores }: AccessConfig,
  ownNamespace: () => string | undefined = () => undefined,
): Access {
  const flat = new Set(
    stores.filter((store) => nameRulesOf(store.kind)?.naming.isFlat).map(({ name }) => name),
  );
  const isOwnNamespace = (namespace: string | undefined) =>
    namespace !== undefined && namespace === ownNamespace();
  const checkAll = (
    { mapping, namespace }: User & { readonly namespace: string | undefined },
    test: (rules: readonly Rule[]) => boolean,
  ): boolean => {
    const bounds = mapping.include?.bounds;
    return (
      !isOwnNamespace(namespace) &&
      (access === undefined || test(access)) &&
      (bounds === undefined || test([bounds]))
    );
  };
  return {
    allows: (use) => checkAll(use, (rules) => allows(rules, use)),
    allowsSearch: (use) =>
      checkAll(use, (rules) => allowsSearch(rules, { ...use, flat: flat.has(use.store) })),
    allowsNamespace: (use) =>
      checkAll(use, (rules) => rules.some((rule) => coversNamespace(rule, use.namespace))),
    forbiddenNamespace: (namespace) =>
      isOwnNamespace(namespace)
        ? new AppError('NOT_ALLOWED', {
            subject: `namespace ${namespace}`,
            detail: "no mapping may target secretbridge's own namespace",
            remedy: 'Set another namespace in the target of the mapping.',
          })
        : undefined,
    forbiddenType({ mapping, type }) {
      const bounds = mapping.include?.bounds;
      if (bounds === undefined || allowsType(bounds.types, type)) return undefined;
      return new AppError('TYPE_FORBIDDEN', {
        detail: `type ${type}`,
        remedy: 'Use another type, or add this type to `types` of the `include`.',
      });
    },
  };
}

/**
 * Whether the mappings of an `include` may write Secrets of this type. Controllers act on Secrets of other types than
 * the built-in ones: Helm takes a `helm.sh/release.v1` for what is installed.
 */
export function allowsType(types: readonly string[], type: string): boolean {
  return ORDINARY_TYPES.includes(type) || types.some((glob) => matches(glob, type));
}

/**
 * Whether one rule allows the namespace, the store and the key. An ambiguous key is never allowed; see `isPlainKey`.
 */
export function allows(rules: readonly Rule[], { namespace, store, key }: KeyUse): boolean {
  if (!isPlainKey(key)) return false;
  return rules.some(
    (rule) =>
      coversNamespace(rule, namespace) &&
      rule.stores.some((glob) => matches(glob, store)) &&
      rule.keys.some((glob) => appliesToKey(glob, key) && matches(glob, key)),
  );
}

/** Whether one rule allows every key that a search could ever find. */
export function allowsSearch(
  rules: readonly Rule[],
  { namespace, store, path, flat }: SearchUse & { readonly flat: boolean },
): boolean {
  const start = flat ? path : path.replace(/\/$/, '');
  if (start !== '' && !isPlainKey(start)) return false;
  const prefix = flat || start === '' ? start : `${start}/`;
  return rules.some(
    (rule) =>
      coversNamespace(rule, namespace) &&
      rule.stores.some((glob) => matches(glob, store)) &&
      rule.keys.some((glob) => appliesToKey(glob, prefix) && coversPrefix(glob, prefix, flat)),
  );
}

function coversNamespace({ namespaces }: Rule, namespace: string | undefined): boolean {
  return namespace === undefined || namespaces.some((glob) => matches(glob, namespace));
}

/**
 * Whether a glob applies to a key. An ARN is an alias of a key, and a glob such as `a*` would match every ARN. So only
 * `**` and globs that start with `arn:` apply to ARNs.
 */
function appliesToKey(glob: string, key: string): boolean {
  return !/^arn:/i.test(key) || glob.startsWith('arn:') || glob === '**';
}

/**
 * Whether a key is unambiguous. A store, proxy or library could resolve an ambiguous key to another key. These parts
 * make a key ambiguous: `.`, `..` and empty segments, backslashes, and invisible characters, including their
 * percent-encoded and Unicode-compatible forms. A leading `/` is allowed, because AWS names may start with it.
 */
export function isPlainKey(key: string): boolean {
  if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\\]|%(?:2e|2f|5c|25|[01]|7f)/iu.test(key)) return false;
  const segments = key.normalize('NFKC').split('/');
  if (segments.length !== key.split('/').length) return false;
  if (segments[0] === '' && segments.length > 1) segments.shift();
  return segments.every((segment) => segment !== '' && segment !== '.' && segment !== '..');
}
