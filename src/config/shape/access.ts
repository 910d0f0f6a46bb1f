import { AppError } from '../../core/errors.ts';
import { namingOf } from './naming.ts';

/** Targets in these namespaces may use these keys of these stores. Each entry is an anchored glob. */
export interface Rule {
  readonly namespaces: readonly string[];
  readonly stores: readonly string[];
  readonly keys: readonly string[];
}

export interface AccessQuestion {
  /** Nothing: whether any namespace may have it, for a target that is nowhere yet. */
  readonly namespace: string | undefined;
  readonly store: string;
  readonly key: string;
}

export interface SearchQuestion {
  /** As above. */
  readonly namespace: string | undefined;
  readonly store: string;
  /** As `find` has it. */
  readonly path: string;
}

/** What mappings may use: the `access` rules, and for those of tenants' files the bounds of their `include` too. */
export interface Access {
  allows(use: AccessQuestion & { readonly mapping: string }): boolean;
  /** Whether a search may run. What it finds is asked about one by one, by `allows`. */
  allowsSearch(use: SearchQuestion & { readonly mapping: string }): boolean;
  /** Whether a mapping may have a target in a namespace at all: where not, nothing is to be asked or claimed there. */
  allowsNamespace(use: { readonly mapping: string; readonly namespace: string }): boolean;
  /** Why no mapping may have a target in a namespace, whatever the rules say. */
  barred(namespace: string | undefined): AppError | undefined;
}

export interface AccessConfig {
  /** Absent: everything is allowed. */
  readonly access?: readonly Rule[] | undefined;
  /** By the name of a mapping. */
  readonly bounds: ReadonlyMap<string, Rule>;
  readonly stores: readonly { readonly name: string; readonly kind: string }[];
}

/** @param guarded The bridge's own namespace, where its credentials are: no mapping may target it. */
export function createAccess(
  { access, bounds, stores }: AccessConfig,
  guarded: () => string | undefined = () => undefined,
): Access {
  const flat = new Set(stores.filter((it) => namingOf(it).isFlat).map(({ name }) => name));
  const isGuarded = (namespace: string | undefined) => namespace !== undefined && namespace === guarded();
  const every = (
    { mapping, namespace }: { readonly mapping: string; readonly namespace: string | undefined },
    test: (rules: readonly Rule[]) => boolean,
  ): boolean => {
    const bound = bounds.get(mapping);
    return (
      !isGuarded(namespace) &&
      (access === undefined || test(access)) &&
      (bound === undefined || test([bound]))
    );
  };
  return {
    allows: (use) => every(use, (rules) => allows(rules, use)),
    allowsSearch: (use) => every(use, (rules) => allowsSearch(rules, { ...use, flat: flat.has(use.store) })),
    allowsNamespace: (use) => every(use, (rules) => rules.some((rule) => speaksFor(rule, use.namespace))),
    barred: (namespace) =>
      isGuarded(namespace)
        ? new AppError('NOT_ALLOWED', {
            about: `namespace ${namespace}`,
            detail: "no mapping may target the bridge's own namespace",
            todo: 'Name another namespace in the target of the mapping.',
          })
        : undefined,
  };
}

/** Whether one rule allows all three. Never so for a key that is not plain: see `isPlainKey`. */
export function allows(rules: readonly Rule[], { namespace, store, key }: AccessQuestion): boolean {
  if (!isPlainKey(key)) return false;
  return rules.some(
    (rule) =>
      speaksFor(rule, namespace) &&
      rule.stores.some((glob) => matches(glob, store)) &&
      rule.keys.some((glob) => speaksOf(glob, key) && matches(glob, key)),
  );
}

/** Whether one rule allows every key that a search there can find, now or later. */
export function allowsSearch(
  rules: readonly Rule[],
  { namespace, store, path, flat }: SearchQuestion & { readonly flat: boolean },
): boolean {
  const start = flat ? path : path.replace(/\/$/, '');
  if (start !== '' && !isPlainKey(start)) return false;
  const prefix = flat || start === '' ? start : `${start}/`;
  return rules.some(
    (rule) =>
      speaksFor(rule, namespace) &&
      rule.stores.some((glob) => matches(glob, store)) &&
      rule.keys.some((glob) => speaksOf(glob, prefix) && covers(glob, prefix, flat)),
  );
}

function speaksFor({ namespaces }: Rule, namespace: string | undefined): boolean {
  return namespace === undefined || namespaces.some((glob) => matches(glob, namespace));
}

/**
 * `*` is any characters within one segment (between `/`), `**` any characters; neither matches a line break.
 * Everything else stands for itself: case, Unicode form, `?` and `[` included. The glob covers the whole text.
 */
export function matches(glob: string, text: string): boolean {
  const tokens = tokensOf(glob);
  return follow(tokens, text)[tokens.length] === true;
}

/** Whether a glob matches everything that begins so, as far as names of the store can go on. */
function covers(glob: string, prefix: string, flat: boolean): boolean {
  const tokens = tokensOf(glob);
  const last = tokens.at(-1) ?? '';
  const endless = flat ? last.startsWith('*') : last.startsWith('**');
  return endless && follow(tokens, prefix)[tokens.length - 1] === true;
}

function tokensOf(glob: string): readonly string[] {
  return glob.match(/\*+|[^*]/gsu) ?? [];
}

/**
 * Where in the glob the text can lead: `[i]` when the first i tokens match it.
 *
 * All positions are followed at once, so time is bounded by the product of the two lengths whatever the pattern:
 * a backtracking regular expression would not be.
 */
function follow(tokens: readonly string[], text: string): readonly boolean[] {
  let states = closure(tokens, new Array(tokens.length + 1).fill(false).with(0, true));
  for (const char of text) {
    const next: boolean[] = new Array(tokens.length + 1).fill(false);
    for (const [index, token] of tokens.entries()) {
      if (!states[index]) continue;
      if (!token.startsWith('*')) next[index + 1] ||= token === char;
      else next[index] ||= !/[\n\r\u2028\u2029]/.test(char) && (token.length > 1 || char !== '/');
    }
    states = closure(tokens, next);
  }
  return states;
}

/** A star may match nothing, so where it can begin it can also end. */
function closure(tokens: readonly string[], states: boolean[]): boolean[] {
  for (const [index, token] of tokens.entries())
    if (states[index] && token.startsWith('*')) states[index + 1] = true;
  return states;
}

/**
 * An ARN is a second name of what a key names, and `a*` would match every ARN. So only a glob that begins with
 * `arn:` itself speaks of ARNs, or the one that allows everything.
 */
function speaksOf(glob: string, key: string): boolean {
  return !/^arn:/i.test(key) || glob.startsWith('arn:') || glob === '**';
}

/**
 * Whether a key can only mean itself. What a store, a proxy before it or a library might resolve to another key is
 * not plain: `.`, `..` and empty segments (but for a leading `/`, which AWS names may have), backslashes, the same
 * in percent-encoding or in compatibility forms of Unicode, and characters that show nothing.
 */
export function isPlainKey(key: string): boolean {
  if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\\]|%(?:2e|2f|5c|25|[01]|7f)/iu.test(key)) return false;
  const segments = key.normalize('NFKC').split('/');
  if (segments.length !== key.split('/').length) return false;
  if (segments[0] === '' && segments.length > 1) segments.shift();
  return segments.every((segment) => segment !== '' && segment !== '.' && segment !== '..');
}
