import type { Help } from './functions.ts';
import { Untranslatable } from './lex.ts';
import { liquidOf } from './value.ts';

export interface Note {
  readonly what: string;
  /** The points that the user has to check. */
  readonly todo?: string | undefined;
}

export interface Problem {
  readonly line: number;
  readonly message: string;
}

/** Collects the output and the problems of one template. */
export interface Draft extends Help {
  /** Returns a unique variable name. */
  fresh(name: string): string;
  /**
   * Runs `work`, which writes one tag. If a part has no equivalent, records the problem and continues, so that all
   * problems are reported together.
   */
  attempt(line: number, work: () => string): string;
  /** Returns and removes the tags that must precede the current one. */
  takeBefore(): readonly string[];
  readonly problems: readonly Problem[];
  notes(): readonly Note[];
}

export function createDraft(): Draft {
  const notes = new Map<string, Note>();
  const problems: Problem[] = [];
  let before: string[] = [];
  let count = 0;

  const fresh = (name: string): string => {
    count += 1;
    return `go_${name}_${count}`;
  };
  return {
    problems,
    notes: () => [...notes.values()],
    note: (what, todo) => void notes.set(what, { what, todo }),
    fresh,
    plain(value) {
      if (value.filters.length === 0) return value.head;
      const name = fresh('value');
      before.push(`% assign ${name} = ${liquidOf(value)} %`);
      return name;
    },
    takeBefore: () => before.splice(0),
    attempt(line, work) {
      before = [];
      try {
        return work();
      } catch (error) {
        if (!(error instanceof Untranslatable)) throw error;
        problems.push({ line: error.line ?? line, message: error.message });
        return '';
      }
    },
  };
}
