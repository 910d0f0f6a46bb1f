import { compareText } from '../core/target.ts';
import type { Problem } from './problem.ts';

const HIDDEN = '[secret]';
/** What is shorter would hide ordinary words. */
export const LEAST_HIDDEN = 6;

/** Fragments that begin in one way. */
interface Group {
  readonly all: ReadonlySet<string>;
  /** In the order of their code units. */
  readonly sorted: readonly string[];
  /** The longest first. */
  readonly lengths: readonly number[];
}

/**
 * Takes what looks like a credential out of problems of something else as well: names are quoted, and so are keys. There
 * may be as many of the one as of the other, so that each text is gone through once, by how a fragment begins.
 */
export function createHider(fragments: ReadonlySet<string>): (problem: Problem) => Problem {
  const byStart = Map.groupBy(fragments, (fragment) => fragment.slice(0, LEAST_HIDDEN));
  const groups = new Map([...byStart].map(([start, all]) => [start, groupOf(all)]));

  const hide = (text: string): string => {
    let hidden = '';
    let from = 0;
    for (let at = 0; at + LEAST_HIDDEN <= text.length; ) {
      const group = groups.get(text.slice(at, at + LEAST_HIDDEN));
      const length = group && lengthAt(group, text, at);
      if (length === undefined) at += 1;
      else {
        hidden += text.slice(from, at) + HIDDEN;
        at += length;
        from = at;
      }
    }
    return hidden + text.slice(from);
  };
  return (problem) => {
    if (groups.size === 0) return problem;
    const { suggestion, ...rest } = problem;
    return {
      ...rest,
      file: hide(problem.file),
      path: hide(problem.path),
      message: hide(problem.message),
      ...(suggestion === undefined ? {} : { suggestion: hide(suggestion) }),
    };
  };
}

function groupOf(fragments: readonly string[]): Group {
  const lengths = [...new Set(fragments.map(({ length }) => length))].sort((a, b) => b - a);
  return { all: new Set(fragments), sorted: fragments.toSorted(compareText), lengths };
}

/** How much of a text from there on is a fragment, or as much of one as is left where a long name was cut. */
function lengthAt({ all, sorted, lengths }: Group, text: string, at: number): number | undefined {
  const whole = lengths.find((length) => all.has(text.slice(at, at + length)));
  const most = text.slice(at, at + (lengths[0] ?? 0));
  const cut = most.indexOf('…', LEAST_HIDDEN);
  // One that is whole may be the beginning of a longer one, of which more is left.
  if (cut <= (whole ?? 0)) return whole;
  const start = most.slice(0, cut);
  return sorted[firstFrom(sorted, start)]?.startsWith(start) ? cut : whole;
}

/** Where the first stands that is not before a text. */
function firstFrom(sorted: readonly string[], text: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareText(sorted[middle] ?? '', text) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
