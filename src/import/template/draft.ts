import type { Help } from './functions.ts';
import { Untranslatable } from './lex.ts';
import { liquidOf } from './value.ts';

export interface Note {
  readonly what: string;
  /** What the user has to check. */
  readonly todo?: string | undefined;
}

export interface Problem {
  readonly line: number;
  readonly message: string;
}

/** Collects output and problems while a template is written. */
export interface Draft extends Help {
  /** A unique variable name. */
  fresh(name: string): string;
  /**
   * Writes one tag. Parts without an equivalent are recorded, and writing continues, so that all of them are reported
   * together.
   */
  attempt(line: number, work: () => string): string;
  /** The tags that must precede the current one. Each is returned once. */
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
