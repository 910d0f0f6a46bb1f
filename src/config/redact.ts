import { compareText } from '../core/target.ts';
import type { Problem } from './problem.ts';

const REDACTED = '[secret]';
/** The minimum length of a redacted fragment. Shorter fragments would redact ordinary words. */
export const MIN_REDACTED_LENGTH = 6;

/** Fragments that start with the same characters. */
interface Group {
  readonly all: ReadonlySet<string>;
  /** Sorted by code units. */
  readonly sorted: readonly string[];
  /** Longest first. */
  readonly lengths: readonly number[];
}

/**
 * Removes everything that looks like a credential from problems, because messages quote names and keys. There may be
 * many fragments and many problems. So each text is scanned only once, with a lookup by the first characters of a
 * fragment.
 */
export function createRedactor(fragments: ReadonlySet<string>): (problem: Problem) => Problem {
  const byStart = Map.groupBy(fragments, (fragment) => fragment.slice(0, MIN_REDACTED_LENGTH));
  const groups = new Map([...byStart].map(([start, all]) => [start, groupOf(all)]));

  const redact = (text: string): string => {
    let redacted = '';
    let from = 0;
    for (let at = 0; at + MIN_REDACTED_LENGTH <= text.length; ) {
      const group = groups.get(text.slice(at, at + MIN_REDACTED_LENGTH));
      const length = group && lengthAt(group, text, at);
      if (length === undefined) at += 1;
      else {
        redacted += text.slice(from, at) + REDACTED;
        at += length;
        from = at;
      }
    }
    return redacted + text.slice(from);
  };
  return (problem) => {
    if (groups.size === 0) return problem;
    const { suggestion, ...rest } = problem;
    return {
      ...rest,
      file: redact(problem.file),
      path: redact(problem.path),
      message: redact(problem.message),
      ...(suggestion === undefined ? {} : { suggestion: redact(suggestion) }),
    };
  };
}

function groupOf(fragments: readonly string[]): Group {
  const lengths = [...new Set(fragments.map(({ length }) => length))].sort((a, b) => b - a);
  return { all: new Set(fragments), sorted: fragments.toSorted(compareText), lengths };
}

/**
 * Returns the length of the fragment that starts at this position. A shortened name may contain only the beginning of a
 * fragment.
 */
function lengthAt({ all, sorted, lengths }: Group, text: string, at: number): number | undefined {
  const complete = lengths.find((length) => all.has(text.slice(at, at + length)));
  const longest = text.slice(at, at + (lengths[0] ?? 0));
  const cut = longest.indexOf('…', MIN_REDACTED_LENGTH);
  // A complete fragment may also be the beginning of a longer fragment that was cut.
  if (cut <= (complete ?? 0)) return complete;
  const start = longest.slice(0, cut);
  return sorted[lowerBound(sorted, start)]?.startsWith(start) ? cut : complete;
}

/** Returns the index of the first text that is not less than the given one. */
function lowerBound(sorted: readonly string[], text: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareText(sorted[middle] ?? '', text) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
