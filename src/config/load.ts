import { findAccessViolations } from './checks/access-violations.ts';
import { crossCheck } from './checks/checks.ts';
import { CHECK_MS, type CheckBudget, checkCostly, TEMPLATE_BYTES } from './checks/costly.ts';
import { findCredentials } from './checks/find-credentials.ts';
import type { Config } from './config.ts';
import { type ConfigFs, findSources, realFs, type Sources } from './files/files.ts';
import { type Bound, type IncludeDeps, readIncludes } from './files/include.ts';
import {
  appendEntries,
  holdsUnclear,
  isUnclear,
  locate,
  mergeDocuments,
  type PlacedFinding,
} from './files/merge.ts';
import { listOf, memberOf } from './files/raw.ts';
import {
  createPacer,
  createParsedFiles,
  type ParsedFiles,
  type ReadDocuments,
  readDocuments,
} from './files/read.ts';
import type { Located } from './files/yaml.ts';
import { type Parsed, parseSections } from './parse.ts';
import {
  type Finding,
  formatPlace,
  type Path,
  type Place,
  type Problem,
  sortProblems,
  toProblem,
} from './problem.ts';
import { createRedactor } from './redact.ts';
import { resolveConfig, resolveHttp } from './resolve.ts';
import { matches } from './shape/access.ts';

export interface LoadOptions {
  /** Files and folders from `--config`, in the order of the command line. */
  readonly paths: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly readFs?: ConfigFs;
  /** A cache, so that unchanged files are not parsed again. Without it, everything is parsed. */
  readonly parsed?: ParsedFiles;
}

/** Reads, merges and checks the configuration. Reports all problems in one result. */
export async function loadConfig(options: LoadOptions): Promise<LoadResult> {
  const { paths, env, cwd, readFs = realFs, parsed = createParsedFiles() } = options;
  const reading = { fs: readFs, parse: parsed.begin() };
  const sources = await findSources({ paths, env, cwd, fs: readFs });
  const main = await readDocuments(sources.files, reading);
  return checkDocuments(main, { ...reading, sources, home: env.HOME });
}

/** Checks a text as if it were the only configuration file. */
export async function validateText(
  text: string,
  { env, cwd }: Pick<LoadOptions, 'env' | 'cwd'>,
): Promise<readonly Problem[]> {
  const bytes = Buffer.from(text);
  const readFs: ConfigFs = {
    stat: async () => ({ isFile: () => true, isDirectory: () => false, size: bytes.length }),
    readdir: async () => [],
    readFile: async () => bytes,
  };
  return (await loadConfig({ paths: ['secretbridge.yaml'], env, cwd, readFs })).problems;
}

/**
 * The result of a load. A usable configuration may still have problems: a mapping without permission does not affect
 * other mappings, and a suspected credential may be harmless.
 */
export type LoadResult =
  | { readonly kind: 'usable'; readonly config: Config; readonly problems: readonly Problem[] }
  | {
      readonly kind: 'invalid';
      readonly problems: readonly Problem[];
      /**
       * Set if the `http` section is valid. If a service keeps its previous configuration because of other mistakes, it
       * can still listen at this address.
       */
      readonly http?: Config['http'];
    };

interface CheckDeps extends Omit<IncludeDeps, 'main'> {
  /** The main files, from which the documents were read. */
  readonly sources: Sources;
}

/** Reads included files, merges all documents and checks the result. Reports all problems in one result. */
async function checkDocuments(main: ReadDocuments, { sources, ...deps }: CheckDeps): Promise<LoadResult> {
  const pause = createPacer();
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
  const root = appendEntries(
    merged.root,
    'mappings',
    included.mappings.map(({ node }) => node),
  );
  const ownCount = listOf(root, 'mappings').length - included.mappings.length;
  const boundOf = (index: number): Bound | undefined => included.mappings[index - ownCount]?.bound;
  const parsed = await parseSections(root.value as Readonly<Record<string, unknown>>, pause);
  const isWhole = sources.problems.length === 0 && main.isWhole;
  const costly = await checkCostly(root, {
    budgetOf: (index) => checkBudget(root, index, boundOf(index)),
    pause,
  });
  const { problems, isUsable } = await problemsIn({
    root,
    parsed,
    boundOf,
    isWhole,
    unreadable: [...mainProblems, ...main.blank, ...included.problems],
    placed: [...merged.findings, ...included.findings],
    costly,
    pause,
    texts: new Map([...main.texts, ...included.texts]),
  });
  const absolute = new Map(sources.files.map((source) => [source.shown, source.absolute]));
  const paths = { absolute: (file: string) => absolute.get(file) ?? file, home: deps.home };
  if (isUsable && parsed.whole !== undefined) {
    const bounds = { boundOf: (index: number) => boundOf(index)?.rule };
    return { kind: 'usable', config: resolveConfig(parsed.whole, root, { ...paths, ...bounds }), problems };
  }
  const { http } = parsed.sections;
  // A wrong address could receive requests with a token, so use `http` only if it is unambiguous.
  const isDuplicated = merged.findings.some(({ path }) => path[0] === 'http');
  const isUnambiguous = !isDuplicated && !holdsUnclear(root, ['http']);
  const isUsableHttp = http !== undefined && isUnambiguous && (isWhole || !isMissing(root, ['http']));
  return { kind: 'invalid', problems, ...(isUsableHttp ? { http: resolveHttp(http, root, paths) } : {}) };
}

interface CheckedDocuments {
  readonly root: Located;
  readonly parsed: Parsed;
  readonly boundOf: (index: number) => Bound | undefined;
  /** Whether all main files could be read completely. Included files contain only mappings and do not count. */
  readonly isWhole: boolean;
  readonly unreadable: readonly Problem[];
  readonly placed: readonly PlacedFinding[];
  /** The findings about templates and search patterns. */
  readonly costly: readonly Finding[];
  readonly pause: () => Promise<void>;
  readonly texts: ReadonlyMap<string, string>;
}

/** All mappings of an include share one budget. Mappings in the operator's own files have no limit of size. */
function checkBudget(root: Located, index: number, bound: Bound | undefined): CheckBudget {
  const group = bound === undefined ? locate(root, ['mappings', index]).file : formatPlace(bound.place);
  return { group, timeMs: CHECK_MS, ...(bound === undefined ? {} : { templateBytes: TEMPLATE_BYTES }) };
}

async function problemsIn(documents: CheckedDocuments) {
  const { root, parsed, boundOf, isWhole, unreadable, placed, costly, pause, texts } = documents;
  const inBounds = (index: number, namespace: string): boolean =>
    boundOf(index)?.rule.namespaces.some((glob) => matches(glob, namespace)) ?? true;
  // Drop findings that may be caused by a part that could not be read.
  const isReliable = ({ path }: Finding) => !isUnclear(root, path) && (isWhole || !isMissing(root, path));
  const place = (finding: Finding) => toProblem(finding, locate(root, finding.path, finding.at));
  const isFullyClear = !holdsUnclear(root, []);
  // Cross-checks compare several places, so all of these places must be readable.
  const isCertain = ({ path, code }: Finding) =>
    isFullyClear || (code !== 'TARGET_CLAIMED' && !holdsUnclear(root, path.slice(0, 2)));
  const crossFindings = [...(await crossCheck(root, parsed, { inBounds, isWhole, pause })), ...costly].filter(
    isCertain,
  );
  const findings = [...parsed.findings, ...crossFindings];
  const faults = [
    ...placed.map((finding) => toProblem(finding, finding.place)),
    ...findings.filter(isReliable).map(place),
  ];
  await pause();
  const suspects = findCredentials(root, texts);
  await pause();
  const places = new Set(faults.map(({ file, line, column }) => `${file}:${line}:${column}`));
  const problems = [
    ...unreadable,
    ...faults,
    ...(isWhole
      ? findAccessViolations(root, parsed, boundOf).filter(isCertain).filter(isReliable).map(place)
      : []),
    // A literal in place of a credential reference is already reported at the same place.
    ...suspects.problems.filter(({ file, line, column }) => !places.has(`${file}:${line}:${column}`)),
  ];
  return {
    problems: sortProblems(problems.map(createRedactor(suspects.fragments))),
    isUsable: unreadable.length + faults.length === 0,
  };
}

/** Whether a whole section is missing. */
function isMissing({ value }: Located, path: Path): boolean {
  const [section] = path;
  return path.length === 1 && memberOf(value, String(section)) === undefined;
}
