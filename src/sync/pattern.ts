import { RE2JS, RE2JSSyntaxException } from 're2js';

/**
 * The maximum number of steps of a pattern after its repetitions are expanded. A step takes about a kilobyte of memory,
 * and a short pattern can expand to a million steps, such as a nested `a{1000}`.
 */
export const MAX_STEPS = 10_000;
/** The maximum total number of steps of all cached patterns. */
const MAX_CACHED_STEPS = 50_000;

type Compiled = RE2JS | 'invalid';

let cache = new Map<string, Compiled>();
let cachedSteps = 0;

/** Compiles a regular expression of linear time and bounded size: https://github.com/google/re2/wiki/Syntax */
export function compilePattern(text: string): Compiled {
  const cached = cache.get(text);
  if (cached !== undefined) return cached;
  const steps = estimateSteps(text);
  if (steps > MAX_STEPS) return 'invalid';
  const pattern = compile(text);
  cachedSteps += steps;
  if (cachedSteps > MAX_CACHED_STEPS) [cache, cachedSteps] = [new Map(), steps];
  cache.set(text, pattern);
  return pattern;
}

function compile(text: string): Compiled {
  try {
    return RE2JS.compile(text);
  } catch (error) {
    if (error instanceof RE2JSSyntaxException) return 'invalid';
    throw error;
  }
}

/** Whether a pattern is small enough to compile. It may still be invalid. */
export function isSmallPattern(text: string): boolean {
  return estimateSteps(text) <= MAX_STEPS;
}

const ATOM = /\\[pPx]\{[^}]*\}|\\[\s\S]|\[\^?\]?(?:\\[\s\S]|\[:[^\]]*:\]|[^\]\\])*\]|[\s\S]/uy;
const REPEAT = /\{(\d{1,9})(?:,(\d{0,9}))?\}/y;
/** Matches quoted text up to its `\E` or the end, and groups that only set flags. Neither contains other syntax. */
const LITERAL_OR_FLAGS = /\\Q([\s\S]*?)(?:\\E|$)|\(\?[-\w]*\)/y;

/**
 * Estimates the number of steps to within a small factor. The engine reports the real number only after compiling the
 * pattern.
 */
function estimateSteps(text: string): number {
  if (text.length > MAX_STEPS) return text.length;
  const groups: number[] = [];
  let steps = 0;
  let last = 0;
  for (let position = 0; position < text.length; ) {
    REPEAT.lastIndex = position;
    const [repeat = '', least = '', most] = REPEAT.exec(text) ?? [];
    if (repeat !== '') {
      const times = Math.max(1, Number(least), Number(most ?? 0));
      steps += last * (times - 1);
      last *= times;
      position += repeat.length;
      continue;
    }
    LITERAL_OR_FLAGS.lastIndex = position;
    const [literal = '', quoted = ''] = LITERAL_OR_FLAGS.exec(text) ?? [];
    if (literal !== '') {
      steps += quoted.length;
      // A repetition after flags or empty quotes applies to the text before them.
      if (quoted !== '') last = 1;
      position += literal.length;
      continue;
    }
    ATOM.lastIndex = position;
    const [atom = ' '] = ATOM.exec(text) ?? [];
    // A class without an end makes the pattern invalid.
    if (atom === '[') break;
    position += atom.length;
    if (atom === '(') {
      groups.push(steps);
      steps = 0;
      last = 0;
    } else if (atom === ')') {
      last = steps + 1;
      steps = (groups.pop() ?? 0) + last;
    } else {
      steps += 1;
      last = 1;
    }
  }
  return groups.reduce((sum, outer) => sum + outer, steps);
}
