export interface Pattern {
  /** `undefined` if every name matches. */
  readonly text: string | undefined;
  /** Whether the converted pattern may match other names than the original. */
  readonly isApproximate: boolean;
}

const MATCH_ALL: Pattern = { text: undefined, isApproximate: false };

/**
 * Converts a pattern for complete names to a pattern for names relative to the path.
 * @param path The path with a final `/`, or empty.
 * @returns `undefined` if no name below the path can match.
 */
export function relativePattern(name: string | undefined, path: string): Pattern | undefined {
  if (name === undefined || /^\^?\.\*\$?$/.test(name)) return MATCH_ALL;
  if (path === '') return { text: name, isApproximate: false };
  const approximate: Pattern = { text: name, isApproximate: true };
  if (!name.startsWith('^') || hasAlternative(name)) return approximate;
  for (const start of [`^${path.replace(/[.+*?()|[\]{}^$\\]/g, '\\$&')}`, `^${path}`]) {
    const rest = name.slice(start.length);
    if (name.startsWith(start) && !isRepeated(rest))
      return rest === '' ? MATCH_ALL : { text: `^${rest}`, isApproximate: false };
  }
  // The literal prefix of the pattern. A quantifier applies to the letter before it, so that letter is not part of the
  // prefix.
  const [, letters = ''] = /^\^((?:[\w/-](?![*+?{]))*)/.exec(name) ?? [];
  if (!path.startsWith(letters)) return letters.startsWith(path) ? approximate : undefined;
  return /^(?:\.\*\$?)?$/.test(name.slice(1 + letters.length)) ? MATCH_ALL : approximate;
}

function isRepeated(rest: string): boolean {
  return /^[*+?{]/.test(rest);
}

/** Whether a `|` occurs outside of groups. A leading `^` then applies only to the first alternative. */
function hasAlternative(pattern: string): boolean {
  const outside = pattern
    .replace(/\\./gs, '')
    .replace(/\[\^?\]?[^\]]*\]/g, '')
    .replace(/[^()|]/g, '');
  let depth = 0;
  for (const sign of outside) {
    if (sign === '|' && depth === 0) return true;
    if (sign !== '|') depth += sign === '(' ? 1 : -1;
  }
  return false;
}
