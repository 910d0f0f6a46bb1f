import { LRUCache } from 'lru-cache';
import { RE2JS, RE2JSSyntaxException } from 're2js';

/**
 * The maximum number of steps of a pattern after its repetitions are expanded. A step takes about a kilobyte of memory,
 * and a short pattern can expand to a million steps, such as a nested `a{1000}`.
 */
export const MAX_STEPS = 10_000;
/** The maximum total number of steps of all cached patterns. */
const MAX_CACHED_STEPS = 20_000;
/** The cost of compiling one step, compared with the cost of matching one step against one character. */
const COMPILE_COST = 200;

interface Compiled {
  readonly pattern: RE2JS | 'invalid';
  readonly steps: number;
}

const cache = new LRUCache<string, Compiled>({
  maxSize: MAX_CACHED_STEPS,
  sizeCalculation: ({ steps }) => steps,
});

/** Compiles a regular expression of linear time and bounded size: https://github.com/google/re2/wiki/Syntax */
export function compilePattern(text: string): RE2JS | 'invalid' {
  const cached = cache.get(text);
  if (cached !== undefined) return cached.pattern;
  const steps = estimateSteps(text);
  if (steps > MAX_STEPS) return 'invalid';
  const pattern = compile(text);
  cache.set(text, { pattern, steps: Math.max(1, steps) });
  return pattern;
}

/**
 * Estimates the cost of matching a pattern against texts, from their total number of characters. A unit takes at most
 * about 15 nanoseconds.
 */
export function matchCost(text: string, characters: number): number {
  const cached = cache.get(text);
  return cached === undefined
    ? limitedSteps(text) * characters + patternCost(text)
    : cached.steps * characters;
}

/** Estimates the cost of compiling a pattern, in the unit of `matchCost`. */
export function patternCost(text: string): number {
  return limitedSteps(text) * COMPILE_COST;
}

function limitedSteps(text: string): number {
  return Math.min(estimateSteps(text), MAX_STEPS);
}

function compile(text: string): Compiled['pattern'] {
  try {
    return RE2JS.compile(text);
  } catch (error) {
    if (error instanceof RE2JSSyntaxException) return 'invalid';
    throw error;
  }
}

/** Returns the number of steps of a pattern, after its repetitions are expanded. */
export function patternSteps(text: string): number {
  return estimateSteps(text);
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
