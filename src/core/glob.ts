/**
 * Matches a glob against the whole text. `*` matches any characters within one segment (between `/`); `**` matches any
 * characters. Neither matches a line break. Every other character is literal, including `?` and `[`. Letter case and
 * Unicode form matter.
 */
export function matches(glob: string, text: string): boolean {
  const first = glob.indexOf('*');
  if (first === -1) return glob === text;
  // Compare the texts around the stars first, because most globs have one star.
  const [head, middle] = [glob.slice(0, first), glob.slice(first, glob.lastIndexOf('*') + 1)];
  const tail = glob.slice(first + middle.length);
  const rest = text.slice(head.length, text.length - tail.length);
  if (text !== head + rest + tail) return false;
  if (/^\*+$/.test(middle)) return !(middle.length > 1 ? LINE_BREAK : LINE_BREAK_OR_SLASH).test(rest);
  const tokens = tokensOf(middle);
  return matchPositions(tokens, rest)[tokens.length] === true;
}

const LINE_BREAK = /[\n\r\u2028\u2029]/;
const LINE_BREAK_OR_SLASH = /[\n\r\u2028\u2029/]/;

/**
 * Whether a glob matches every text that starts with the prefix.
 *
 * @param flat Whether the texts contain no `/`.
 */
export function coversPrefix(glob: string, prefix: string, flat: boolean): boolean {
  const tokens = tokensOf(glob);
  const last = tokens.at(-1) ?? '';
  const endless = flat ? last.startsWith('*') : last.startsWith('**');
  return endless && matchPositions(tokens, prefix)[tokens.length - 1] === true;
}

function tokensOf(glob: string): readonly string[] {
  return glob.match(/\*+|[^*]/gsu) ?? [];
}

/**
 * Returns the glob positions that the text can reach. `[i]` is true if the first i tokens match the text.
 *
 * All positions are tracked together, so the time is bounded by the product of both lengths. A backtracking regular
 * expression has no such bound.
 */
function matchPositions(tokens: readonly string[], text: string): readonly boolean[] {
  let states = expandStars(tokens, new Array(tokens.length + 1).fill(false).with(0, true));
  for (const char of text) {
    const next: boolean[] = new Array(tokens.length + 1).fill(false);
    for (const [index, token] of tokens.entries()) {
      if (!states[index]) continue;
      if (!token.startsWith('*')) next[index + 1] ||= token === char;
      else next[index] ||= !LINE_BREAK.test(char) && (token.length > 1 || char !== '/');
    }
    states = expandStars(tokens, next);
  }
  return states;
}

/** A star may match nothing, so the position after it is reached too. */
function expandStars(tokens: readonly string[], states: boolean[]): boolean[] {
  for (const [index, token] of tokens.entries())
    if (states[index] && token.startsWith('*')) states[index + 1] = true;
  return states;
}
