export interface Pattern {
  /** None where every name matches. */
  readonly text: string | undefined;
  /** Whether it may match other names than theirs. */
  readonly isGuess: boolean;
}

const EVERY: Pattern = { text: undefined, isGuess: false };

/**
 * Their pattern, which is for whole names, for the names as they are below the path.
 * @param path With its final `/`, or empty.
 * @returns `undefined` if no name there can match.
 */
export function relativePattern(name: string | undefined, path: string): Pattern | undefined {
  if (name === undefined || /^\^?\.\*\$?$/.test(name)) return EVERY;
  if (path === '') return { text: name, isGuess: false };
  const guess: Pattern = { text: name, isGuess: true };
  if (!name.startsWith('^') || hasAlternative(name)) return guess;
  for (const start of [`^${path.replace(/[.+*?()|[\]{}^$\\]/g, '\\$&')}`, `^${path}`]) {
    const rest = name.slice(start.length);
    if (name.startsWith(start) && !isRepeated(rest))
      return rest === '' ? EVERY : { text: `^${rest}`, isGuess: false };
  }
  // The letters that it begins with; a sign of how often belongs to the letter before it.
  const [, letters = ''] = /^\^((?:[\w/-](?![*+?{]))*)/.exec(name) ?? [];
  if (!path.startsWith(letters)) return letters.startsWith(path) ? guess : undefined;
  return /^(?:\.\*\$?)?$/.test(name.slice(1 + letters.length)) ? EVERY : guess;
}

function isRepeated(rest: string): boolean {
  return /^[*+?{]/.test(rest);
}

/** A `|` that is in no group, so that the `^` is for what stands before it alone. */
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
