import { matches } from './access.ts';
import { crossCheck } from './checks.ts';
import type { Config } from './config.ts';
import { findCredentials, hideFragments } from './credentials-found.ts';
import { type ConfigFs, findSources, realFs } from './files.ts';
import { type Bound, readIncludes } from './include.ts';
import { locate, mergeDocuments, withEntries } from './merge.ts';
import { findNotAllowed } from './not-allowed.ts';
import { parseSections } from './parse.ts';
import type { ParsedFiles } from './parsed-files.ts';
import { type Finding, type Place, type Problem, sortProblems, toProblem } from './problem.ts';
import { listOf } from './raw.ts';
import { readDocuments } from './read.ts';
import { resolveConfig } from './resolve.ts';
import { parseYaml } from './yaml.ts';

export interface LoadOptions {
  /** Files and folders as given by `--config`, in their order. */
  readonly paths: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly readFs?: ConfigFs;
  /** Spares parsing again what did not change since the last load. Left out: everything is parsed. */
  readonly parsed?: ParsedFiles;
}

/**
 * `problems` of a usable configuration stop nothing as a whole: mappings that are not allowed what they ask for fail
 * alone, and what only looks like a credential may be none.
 */
export type Loaded =
  | { readonly kind: 'usable'; readonly config: Config; readonly problems: readonly Problem[] }
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] };

/** Reads, merges and checks the configuration. Whatever is wrong with it comes back, all of it at once. */
export async function loadConfig(options: LoadOptions): Promise<Loaded> {
  const { paths, env, cwd, readFs = realFs, parsed: known } = options;
  const reading = { fs: readFs, parse: known?.begin() ?? parseYaml };
  const sources = await findSources({ paths, env, cwd, fs: readFs });
  const main = await readDocuments(sources.files, reading);
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
  const included = await readIncludes(merged.root, {
    ...reading,
    home: env.HOME,
    main: sources.files,
  });
  const root = withEntries(
    merged.root,
    'mappings',
    included.mappings.map(({ node }) => node),
  );
  const own = listOf(root, 'mappings').length - included.mappings.length;
  const boundOf = (index: number): Bound | undefined => included.mappings[index - own]?.bound;
  const inBounds = (index: number, namespace: string): boolean =>
    boundOf(index)?.rule.namespaces.some((glob) => matches(glob, namespace)) ?? true;

  const parsed = parseSections(root.value as Readonly<Record<string, unknown>>);
  const place = (finding: Finding) => toProblem(finding, locate(root, finding.path, finding.at));
  const suspects = findCredentials(root, new Map([...main.texts, ...included.texts]));
  const report = (problems: readonly Problem[]) =>
    sortProblems(problems.map((problem) => hideFragments(problem, suspects.fragments)));

  const fatal = [
    ...[...merged.findings, ...included.findings].map((finding) => toProblem(finding, finding.place)),
    ...parsed.findings.map(place),
  ];
  const unreadable = [...mainProblems, ...included.problems];
  if (unreadable.length > 0) {
    // Names and sections may be missing only because their file could not be read: say what holds without it.
    const within = fatal.filter(({ path }) => /[.[]/.test(path));
    return { kind: 'invalid', problems: report([...unreadable, ...within]) };
  }
  fatal.push(...crossCheck(root, parsed, inBounds).map(place));
  const places = new Set(fatal.map(({ file, line, column }) => `${file}:${line}:${column}`));
  const problems = report([
    ...fatal,
    ...findNotAllowed(parsed, boundOf).map(place),
    // Where a literal stands in place of a reference, that is said already.
    ...suspects.problems.filter(({ file, line, column }) => !places.has(`${file}:${line}:${column}`)),
  ]);
  if (fatal.length > 0 || parsed.whole === undefined) return { kind: 'invalid', problems };
  const absolute = new Map(sources.files.map((source) => [source.shown, source.absolute]));
  const config = resolveConfig(parsed.whole, root, {
    absolute: (file) => absolute.get(file) ?? file,
    home: env.HOME,
    boundOf: (index) => boundOf(index)?.rule,
  });
  return { kind: 'usable', config, problems };
}
