import { findAccessViolations } from './checks/access-violations.ts';
import { findCredentials } from './checks/find-credentials.ts';
import type { Bound } from './files/include.ts';
import { holdsUnclear, isUnclear, locate, type PlacedFinding } from './files/merge.ts';
import { memberOf } from './files/raw.ts';
import type { Located } from './files/yaml.ts';
import type { Parsed } from './parse.ts';
import { withPlacement } from './placement.ts';
import { type Finding, type Path, type Problem, sortProblems, toProblem } from './problem.ts';
import { createRedactor } from './redact.ts';

/** The main files together, or one included file. A mistake in a unit makes the whole unit unusable. */
export interface Unit {
  readonly root: Located;
  readonly parsed: Pick<Parsed, 'access' | 'findings'>;
  /** `undefined` for the main files. */
  readonly bound?: Bound | undefined;
  /** Whether all main files could be read completely. If not, what seems to be missing may be in the unread part. */
  readonly isWhole: boolean;
  /** The results of the checks across several fields. */
  readonly crossFindings: readonly Finding[];
  readonly unreadable: readonly Problem[];
  readonly placed: readonly PlacedFinding[];
  readonly texts: ReadonlyMap<string, string>;
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

export function checkUnit(unit: Unit): CheckedUnit {
  const { root, parsed, bound, isWhole, unreadable, placed, texts } = unit;
  // Drop findings that may be caused by a part that could not be read.
  const isReliable = ({ path }: Finding) => !isUnclear(root, path) && (isWhole || !isMissing(root, path));
  const place = (finding: Finding) => toProblem(finding, locate(root, finding.path, finding.at));
  const isFullyClear = !holdsUnclear(root, []);
  // Cross-checks compare several places, so all of these places must be readable.
  const isCertain = ({ path, code }: Finding) =>
    isFullyClear || (code !== 'TARGET_CLAIMED' && !holdsUnclear(root, path.slice(0, 2)));
  const reported = [...parsed.findings, ...unit.crossFindings.filter(isCertain)]
    .filter(isReliable)
    .map((finding) => place(withPlacement(finding, root.value)));
  const faults = [
    ...placed.map((finding) => toProblem(finding, finding.place)),
    ...reported.filter(({ code }) => !OF_ONE_MAPPING.has(code)),
  ];
  // The main files are checked by themselves, so an included file does not report their sections again.
  const suspects = findCredentials(bound === undefined ? root : onlyMappings(root), texts);
  const places = new Set(faults.map(({ file, line, column }) => `${file}:${line}:${column}`));
  const problems = [
    ...unreadable,
    ...faults,
    ...reported.filter(({ code }) => OF_ONE_MAPPING.has(code)),
    ...(isWhole
      ? findAccessViolations(root, parsed, bound).filter(isCertain).filter(isReliable).map(place)
      : []),
    // A literal in place of a credential reference is already reported at the same place.
    ...suspects.problems.filter(({ file, line, column }) => !places.has(`${file}:${line}:${column}`)),
  ];
  const redact = createRedactor(suspects.fragments);
  return {
    problems: sortProblems(problems.map(redact)),
    isUsable: unreadable.length + faults.length === 0,
    redact,
  };
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
