/** A finding about an imported object that the user has to know. */
export interface Finding {
  /**
   * `changed`: converted, but behaves differently. `lost`: not converted, so the object has no effect in the result.
   */
  readonly level: 'changed' | 'lost';
  /** The path of the field from the object's root. */
  readonly at: string;
  readonly what: string;
  /** The action that the user has to take, if any. */
  readonly todo?: string;
}

/** Collects the findings of one object. */
export interface Notes {
  changed(at: string, what: string, todo?: string): void;
  lost(at: string, what: string, todo: string): void;
  readonly findings: readonly Finding[];
  /** Whether a part could not be converted. */
  readonly incomplete: boolean;
}

const MISSING = 'is missing';

export function createNotes(): Notes {
  const findings: Finding[] = [];
  // The same finding may occur several times, for example at each use of a function.
  const add = (finding: Finding) => {
    const same = findings.filter(({ at }) => at === finding.at);
    if (same.some(({ what }) => what === finding.what)) return;
    // The field is present but unusable, which is already reported.
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
