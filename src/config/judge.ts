import { crossCheck } from './checks/checks.ts';
import { findCredentials } from './checks/credentials-found.ts';
import { findNotAllowed } from './checks/not-allowed.ts';
import type { Config } from './config.ts';
import type { Sources } from './files/files.ts';
import { type Bound, type IncludeDeps, readIncludes } from './files/include.ts';
import {
  holdsUnclear,
  isUnclear,
  locate,
  mergeDocuments,
  type PlacedFinding,
  withEntries,
} from './files/merge.ts';
import { listOf, memberOf } from './files/raw.ts';
import type { ReadDocuments } from './files/read.ts';
import type { Located } from './files/yaml.ts';
import { createHider } from './hidden.ts';
import { type Parsed, parseSections } from './parse.ts';
import { type Finding, type Path, type Place, type Problem, sortProblems, toProblem } from './problem.ts';
import { resolveConfig, resolveHttp } from './resolve.ts';
import { matches } from './shape/access.ts';

/**
 * `problems` of a usable configuration stop nothing as a whole: mappings that are not allowed what they ask for fail
 * alone, and what only looks like a credential may be none.
 */
export type Loaded =
  | { readonly kind: 'usable'; readonly config: Config; readonly problems: readonly Problem[] }
  | {
      readonly kind: 'invalid';
      readonly problems: readonly Problem[];
      /** Where that is clear in spite of them: there a service may run that took what was valid before. */
      readonly http?: Config['http'];
    };

export interface JudgeDeps extends Omit<IncludeDeps, 'main'> {
  /** Where the documents are from. */
  readonly sources: Sources;
}

/** Reads what the documents include, merges and checks it all. Whatever is wrong comes back, all of it at once. */
export async function judgeDocuments(main: ReadDocuments, { sources, ...deps }: JudgeDeps): Promise<Loaded> {
  const start: Place = { file: sources.files[0]?.shown ?? '', line: 1, column: 1 };
  const mainProblems = [...sources.problems, ...main.problems];
  if (main.documents.length === 0) {
    const empty = toProblem(
      { path: [], code: 'CONFIG_INVALID', message: 'the configuration is empty' },
      start,
    );
    return { kind: 'invalid', problems: mainProblems.length > 0 ? sortProblems(mainProblems) : [empty] };
  }

  const merged = mergeDocuments(main.documents, start);
  const included = await readIncludes(merged.root, { ...deps, main: sources.files });
  const root = withEntries(
    merged.root,
    'mappings',
    included.mappings.map(({ node }) => node),
  );
  const own = listOf(root, 'mappings').length - included.mappings.length;
  const boundOf = (index: number): Bound | undefined => included.mappings[index - own]?.bound;
  const parsed = parseSections(root.value as Readonly<Record<string, unknown>>);
  const isWhole = sources.problems.length === 0 && main.isWhole;
  const { problems, isUsable } = problemsIn({
    root,
    parsed,
    boundOf,
    isWhole,
    unreadable: [...mainProblems, ...main.blank, ...included.problems],
    placed: [...merged.findings, ...included.findings],
    texts: new Map([...main.texts, ...included.texts]),
  });
  const absolute = new Map(sources.files.map((source) => [source.shown, source.absolute]));
  const paths = { absolute: (file: string) => absolute.get(file) ?? file, home: deps.home };
  if (isUsable && parsed.whole !== undefined) {
    const bounds = { boundOf: (index: number) => boundOf(index)?.rule };
    return { kind: 'usable', config: resolveConfig(parsed.whole, root, { ...paths, ...bounds }), problems };
  }
  const { http } = parsed.sections;
  // Nobody is to be asked, perhaps with a token, at an address that was not meant.
  const isTwice = merged.findings.some(({ path }) => path[0] === 'http');
  const isMeant = !isTwice && !holdsUnclear(root, ['http']);
  const isKnown = http !== undefined && isMeant && (isWhole || !isMissing(root, ['http']));
  return { kind: 'invalid', problems, ...(isKnown ? { http: resolveHttp(http, root, paths) } : {}) };
}

interface Judged {
  readonly root: Located;
  readonly parsed: Parsed;
  readonly boundOf: (index: number) => Bound | undefined;
  /** Whether all files that may hold more than mappings could be read. */
  readonly isWhole: boolean;
  readonly unreadable: readonly Problem[];
  readonly placed: readonly PlacedFinding[];
  readonly texts: ReadonlyMap<string, string>;
}

function problemsIn({ root, parsed, boundOf, isWhole, unreadable, placed, texts }: Judged) {
  const inBounds = (index: number, namespace: string): boolean =>
    boundOf(index)?.rule.namespaces.some((glob) => matches(glob, namespace)) ?? true;
  // What is read in part only would give problems that are none.
  const isTrue = ({ path }: Finding) => !isUnclear(root, path) && (isWhole || !isMissing(root, path));
  const place = (finding: Finding) => toProblem(finding, locate(root, finding.path, finding.at));
  const isAllClear = !holdsUnclear(root, []);
  // These look at several places: at all of an entry, or at those of two entries.
  const isSure = ({ path, code }: Finding) =>
    isAllClear || (code !== 'TARGET_CLAIMED' && !holdsUnclear(root, path.slice(0, 2)));
  const crossed = crossCheck(root, parsed, { inBounds, isWhole }).filter(isSure);
  const found = [...parsed.findings, ...crossed];
  const faults = [
    ...placed.map((finding) => toProblem(finding, finding.place)),
    ...found.filter(isTrue).map(place),
  ];
  const suspects = findCredentials(root, texts);
  const places = new Set(faults.map(({ file, line, column }) => `${file}:${line}:${column}`));
  const problems = [
    ...unreadable,
    ...faults,
    ...(isWhole ? findNotAllowed(root, parsed, boundOf).filter(isSure).filter(isTrue).map(place) : []),
    // Where a literal stands in place of a reference, that is said already.
    ...suspects.problems.filter(({ file, line, column }) => !places.has(`${file}:${line}:${column}`)),
  ];
  return {
    problems: sortProblems(problems.map(createHider(suspects.fragments))),
    isUsable: unreadable.length + faults.length === 0,
  };
}

/** Whether a whole section is not there. */
function isMissing({ value }: Located, path: Path): boolean {
  const [section] = path;
  return path.length === 1 && memberOf(value, String(section)) === undefined;
}
