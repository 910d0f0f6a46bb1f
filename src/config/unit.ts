import { append } from '../core/lists.ts';
import type { Policy } from '../core/mapping.ts';
import { findAccessViolations } from './checks/access-violations.ts';
import { type CredentialFindings, findCredentials } from './checks/find-credentials.ts';
import { findPolicyViolations } from './checks/policy-violations.ts';
import type { Bound } from './files/include.ts';
import { holdsUnclear, isUnclear, locate, type PlacedFinding } from './files/merge.ts';
import { memberOf } from './files/raw.ts';
import type { Located } from './files/yaml.ts';
import type { Parsed } from './parse.ts';
import { withPlacement } from './placement.ts';
import { type Finding, type Path, type Place, type Problem, sortProblems, toProblem } from './problem.ts';
import { createRedactor } from './redact.ts';

/** The main files together, or one included file. A mistake in a unit makes the whole unit unusable. */
export interface Unit {
  readonly access: Parsed['access'];
  /** `undefined` if the section is invalid. */
  readonly policies: readonly Policy[] | undefined;
  /** `undefined` for the main files. */
  readonly bound?: Bound | undefined;
  /** Whether all main files could be read completely. If not, what seems to be missing may be in the unread part. */
  readonly isWhole: boolean;
  /** Whether the meaning of everything in the unit is known. */
  readonly isFullyClear: boolean;
  readonly unreadable: readonly Problem[];
  readonly texts: ReadonlyMap<string, string>;
}

/** The sections of a unit, or some of its mappings. */
export interface Part {
  /** The content of the part, and everything else that its checks need. */
  readonly root: Located;
  /** The findings of the schema. */
  readonly findings: readonly Finding[];
  /** The findings of the checks across several fields. */
  readonly crossFindings: readonly Finding[];
}

export interface CheckedUnit {
  /** All problems, sorted. A usable unit may contain mappings with problems. */
  readonly problems: readonly Problem[];
  readonly isUsable: boolean;
  /** Removes text that looks like a credential. */
  readonly redact: (problem: Problem) => Problem;
}

/** The codes of problems that fail a single mapping, and not its whole unit. */
const OF_ONE_MAPPING: ReadonlySet<string> = new Set(['TEMPLATE_INVALID', 'LIMIT_REACHED']);

/** Collects the problems of a unit, part by part. */
export class UnitProblems {
  readonly #unit: Unit;
  /** Problems that make the unit unusable. */
  readonly #faults: Problem[] = [];
  readonly #others: Problem[] = [];
  readonly #suspects: Problem[] = [];
  readonly #fragments = new Set<string>();

  constructor(unit: Unit) {
    this.#unit = unit;
  }

  addPlaced(findings: readonly PlacedFinding[]): void {
    for (const finding of findings) this.#faults.push(toProblem(finding, finding.place));
  }

  /** Adds the problems of the sections. The root contains no mappings. */
  addSections(part: Part): void {
    this.#addFindings(part);
    this.#addSuspects(findCredentials(part.root, this.#unit.texts));
  }

  /** Adds the problems of mappings. Returns the indexes of the mappings in which anything was found. */
  addMappings(part: Part): ReadonlySet<number> {
    const { access, policies = [], bound, isWhole, texts } = this.#unit;
    this.#addFindings(part);
    const violations = [
      ...findAccessViolations(part.root, { access }, bound),
      ...findPolicyViolations(part.root, policies),
    ];
    const isShown = (finding: Finding) => this.#isCertain(part, finding) && this.#isReliable(part, finding);
    if (isWhole) for (const finding of violations.filter(isShown)) this.#others.push(placed(part, finding));
    const suspects = findCredentials(onlyMappings(part.root), texts);
    this.#addSuspects(suspects);
    const found = [...part.findings, ...part.crossFindings, ...violations].map(({ path }) => Number(path[1]));
    return new Set([...found, ...suspects.mappings]);
  }

  /** Adds findings that compare several mappings. */
  addComparisons(part: Part): void {
    this.#addFindings(part);
  }

  checked(): CheckedUnit {
    const redact = createRedactor(this.#fragments);
    const places = new Set(this.#faults.map(placeText));
    const problems = [
      ...this.#unit.unreadable,
      ...this.#faults,
      ...this.#others,
      // A literal in place of a credential reference is already reported at the same place.
      ...this.#suspects.filter((problem) => !places.has(placeText(problem))),
    ];
    return {
      problems: sortProblems(problems.map(redact)),
      isUsable: this.#unit.unreadable.length + this.#faults.length === 0,
      redact,
    };
  }

  #addFindings(part: Part): void {
    const { findings, crossFindings } = part;
    const certain = crossFindings.filter((finding) => this.#isCertain(part, finding));
    for (const finding of [...findings, ...certain])
      if (this.#isReliable(part, finding)) {
        const problem = placed(part, withPlacement(finding, part.root.value));
        (OF_ONE_MAPPING.has(problem.code) ? this.#others : this.#faults).push(problem);
      }
  }

  #addSuspects({ problems, fragments }: CredentialFindings): void {
    append(this.#suspects, problems);
    for (const fragment of fragments) this.#fragments.add(fragment);
  }

  /** Whether a finding is not caused by a part that could not be read. */
  #isReliable({ root }: Part, { path }: Finding): boolean {
    return !isUnclear(root, path) && (this.#unit.isWhole || !isMissing(root, path));
  }

  /** Cross-checks compare several places, so all of these places must be readable. */
  #isCertain({ root }: Part, { path, code }: Finding): boolean {
    return this.#unit.isFullyClear || (code !== 'TARGET_CLAIMED' && !holdsUnclear(root, path.slice(0, 2)));
  }
}

function placed({ root }: Part, finding: Finding): Problem {
  return toProblem(finding, locate(root, finding.path, finding.at));
}

function placeText({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`;
}

/** Whether a whole section is missing. */
export function isMissing({ value }: Located, path: Path): boolean {
  const [section] = path;
  return path.length === 1 && memberOf(value, String(section)) === undefined;
}

function onlyMappings(root: Located): Located {
  const mappings = root.members?.get('mappings');
  return { ...root, members: new Map(mappings === undefined ? [] : [['mappings', mappings]]) };
}
