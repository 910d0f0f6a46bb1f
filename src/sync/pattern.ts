import { RE2JS, RE2JSSyntaxException } from 're2js';

/**
 * The most steps of a pattern, with its repetitions written out. To compile one costs a kilobyte, and a few characters
 * may ask for a million: `a{1000}`, a thousand times.
 */
export const MOST_STEPS = 10_000;
/** Of all that are kept compiled. */
const MOST_KEPT = 50_000;

type Compiled = RE2JS | 'invalid';

let kept = new Map<string, Compiled>();
let keptSteps = 0;

/** A regular expression of linear time and bounded size: https://github.com/google/re2/wiki/Syntax */
export function compilePattern(text: string): Compiled {
  const known = kept.get(text);
  if (known !== undefined) return known;
  const steps = stepsOf(text);
  if (steps > MOST_STEPS) return 'invalid';
  const pattern = compileAnew(text);
  keptSteps += steps;
  if (keptSteps > MOST_KEPT) [kept, keptSteps] = [new Map(), steps];
  kept.set(text, pattern);
  return pattern;
}

function compileAnew(text: string): Compiled {
  try {
    return RE2JS.compile(text);
  } catch (error) {
    if (error instanceof RE2JSSyntaxException) return 'invalid';
    throw error;
  }
}

/** Whether a pattern is small enough to be compiled, whatever else is wrong with it. */
export function isSmallPattern(text: string): boolean {
  return stepsOf(text) <= MOST_STEPS;
}

const ATOM = /\\[pPx]\{[^}]*\}|\\[\s\S]|\[\^?\]?(?:\\[\s\S]|\[:[^\]]*:\]|[^\]\\])*\]|[\s\S]/uy;
const REPEAT = /\{(\d{1,9})(?:,(\d{0,9}))?\}/y;
/** Text that stands for itself, to its `\E` or to the end; and flags, which are no group. Neither has a syntax inside. */
const ASIDE = /\\Q([\s\S]*?)(?:\\E|$)|\(\?[-\w]*\)/y;

/** An estimate that is right to a small factor: the engine alone knows, and says so when it is too late. */
function stepsOf(text: string): number {
  if (text.length > MOST_STEPS) return text.length;
  const groups: number[] = [];
  let steps = 0;
  let last = 0;
  for (let at = 0; at < text.length; ) {
    REPEAT.lastIndex = at;
    const [repeat = '', least = '', most] = REPEAT.exec(text) ?? [];
    if (repeat !== '') {
      const times = Math.max(1, Number(least), Number(most ?? 0));
      steps += last * (times - 1);
      last *= times;
      at += repeat.length;
      continue;
    }
    ASIDE.lastIndex = at;
    const [aside = '', quoted = ''] = ASIDE.exec(text) ?? [];
    if (aside !== '') {
      steps += quoted.length;
      // After flags, and after no text, what is repeated is what stands before them.
      if (quoted !== '') last = 1;
      at += aside.length;
      continue;
    }
    ATOM.lastIndex = at;
    const [atom = ' '] = ATOM.exec(text) ?? [];
    // A class without its end is no pattern at all.
    if (atom === '[') break;
    at += atom.length;
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
