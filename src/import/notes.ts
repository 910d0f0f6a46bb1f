/** What somebody has to know about one of their objects. */
export interface Finding {
  /** `changed`: carried over, with another meaning. `lost`: it could not be, so the object is not in force here. */
  readonly level: 'changed' | 'lost';
  /** The field, as a path from the object's root. */
  readonly at: string;
  readonly what: string;
  /** What a person has to do about it, where there is something to do. */
  readonly todo?: string;
}

/** Collects what is found about one object. */
export interface Notes {
  changed(at: string, what: string, todo?: string): void;
  lost(at: string, what: string, todo: string): void;
  readonly findings: readonly Finding[];
  /** Whether something could not be carried over. */
  readonly incomplete: boolean;
}

const MISSING = 'is missing';

export function createNotes(): Notes {
  const findings: Finding[] = [];
  // The same may be met twice, for example at each use of one function.
  const add = (finding: Finding) => {
    const same = findings.filter(({ at }) => at === finding.at);
    if (same.some(({ what }) => what === finding.what)) return;
    // What is there and of no use was said already.
    if (finding.what === MISSING && same.some(({ level }) => level === 'lost')) return;
    findings.push(finding);
  };
  return {
    changed: (at, what, todo) => add({ level: 'changed', at, what, ...(todo === undefined ? {} : { todo }) }),
    lost: (at, what, todo) => add({ level: 'lost', at, what, todo }),
    findings,
    get incomplete() {
      return findings.some(({ level }) => level === 'lost');
    },
  };
}
