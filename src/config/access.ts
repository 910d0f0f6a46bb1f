/** Targets in these namespaces may use these keys of these stores. Each entry is an anchored glob. */
export interface Rule {
  readonly namespaces: readonly string[];
  readonly stores: readonly string[];
  readonly keys: readonly string[];
}

export interface AccessQuestion {
  readonly namespace: string;
  readonly store: string;
  readonly key: string;
}

/**
 * Whether a rule allows all three. A key with a `.`, `..` or empty segment (but for a leading `/`, which AWS
 * names may have) or a control character is never allowed: a store might resolve it to a key that no rule names.
 */
export function allows(rules: readonly Rule[], { namespace, store, key }: AccessQuestion): boolean {
  if (!isPlainKey(key)) return false;
  const some = (globs: readonly string[], text: string) => globs.some((glob) => matches(glob, text));
  return rules.some(
    (rule) => some(rule.namespaces, namespace) && some(rule.stores, store) && some(rule.keys, key),
  );
}

/**
 * `*` is any characters within one segment (between `/`), `**` any characters; neither matches a line break.
 * Everything else stands for itself: case, Unicode form, `?` and `[` included. The glob covers the whole text.
 *
 * All positions in the glob are followed at once, so time is bounded by the product of the two lengths
 * whatever the pattern: a backtracking regular expression would not be.
 */
export function matches(glob: string, text: string): boolean {
  const tokens = glob.match(/\*+|[^*]/gsu) ?? [];
  // `states[i]`: the text so far can be matched by the first i tokens.
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
  return states[tokens.length] === true;
}

/** A star may match nothing, so where it can begin it can also end. */
function closure(tokens: readonly string[], states: boolean[]): boolean[] {
  for (const [index, token] of tokens.entries())
    if (states[index] && token.startsWith('*')) states[index + 1] = true;
  return states;
}

function isPlainKey(key: string): boolean {
  const segments = key.split('/');
  if (segments[0] === '' && segments.length > 1) segments.shift();
  return (
    !/\p{Cc}/u.test(key) && segments.every((segment) => segment !== '' && segment !== '.' && segment !== '..')
  );
}
