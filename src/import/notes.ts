/** A difference that the user has to know about an imported object. */
export interface Finding {
  /**
   * `changed`: converted, with a different behavior. `lost`: not converted, so the object is not active in the result.
   */
  readonly level: 'changed' | 'lost';
  /** The path of the field from the object's root. */
  readonly at: string;
  readonly what: string;
  /** What the user has to do, if anything. */
  readonly todo?: string;
}

/** Collects the findings of one object. */
export interface Notes {
  changed(at: string, what: string, todo?: string): void;
  lost(at: string, what: string, todo: string): void;
  readonly findings: readonly Finding[];
  /** Whether something was not converted. */
  readonly incomplete: boolean;
}

const MISSING = 'is missing';

export function createNotes(): Notes {
  const findings: Finding[] = [];
  // The same finding may occur several times, for example at each use of a function.
  const add = (finding: Finding) => {
    const same = findings.filter(({ at }) => at === finding.at);
    if (same.some(({ what }) => what === finding.what)) return;
    // A present but unusable field is already reported.
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
