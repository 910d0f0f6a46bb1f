import { crossCheck } from './checks.ts';
import type { Config } from './config.ts';
import { type ConfigFs, findSources, readSource, realFs } from './files.ts';
import { locate, mergeDocuments } from './merge.ts';
import { findNotAllowed } from './not-allowed.ts';
import { parseSections } from './parse.ts';
import { type Finding, type Place, type Problem, sortProblems, toProblem } from './problem.ts';
import { resolveConfig } from './resolve.ts';
import { findUnsupported } from './unsupported.ts';
import { type Located, parseYaml } from './yaml.ts';

export interface LoadOptions {
  /** Files and folders as given by `--config`, in their order. */
  readonly paths: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly readFs?: ConfigFs;
}

/** `problems` of a usable configuration are those of single mappings, which fail alone. */
export type Loaded =
  | { readonly kind: 'usable'; readonly config: Config; readonly problems: readonly Problem[] }
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] };

/** Reads, merges and checks the configuration. Whatever is wrong with it comes back, all of it at once. */
export async function loadConfig({ paths, env, cwd, readFs = realFs }: LoadOptions): Promise<Loaded> {
  const sources = await findSources({ paths, env, cwd, fs: readFs });
  const unreadable: Problem[] = [...sources.problems];
  const documents: Located[] = [];
  for (const source of sources.files) {
    const read = await readSource(source, readFs);
    if (read.kind === 'problem') {
      unreadable.push(read.problem);
      continue;
    }
    const parsed = parseYaml(read.text, source.shown);
    documents.push(...parsed.documents);
    unreadable.push(...parsed.problems.map(({ place, message }) => syntaxProblem(place, message)));
  }
  const start: Place = { file: sources.files[0]?.shown ?? '', line: 1, column: 1 };
  if (documents.length === 0)
    return {
      kind: 'invalid',
      problems:
        unreadable.length > 0
          ? sortProblems(unreadable)
          : [syntaxProblem(start, 'the configuration is empty')],
    };

  const merged = mergeDocuments(documents, start);
  const { root } = merged;
  const parsed = parseSections(root.value as Readonly<Record<string, unknown>>);
  const place = (finding: Finding) => toProblem(finding, locate(root, finding.path, finding.at));
  const fatal = [
    ...merged.findings.map((finding) => toProblem(finding, finding.place)),
    ...[...parsed.findings, ...findUnsupported(root.value)].map(place),
  ];
  if (unreadable.length > 0) {
    // Names and sections may be missing only because their file could not be read: say what holds without it.
    const within = fatal.filter(({ path }) => /[.[]/.test(path));
    return { kind: 'invalid', problems: sortProblems([...unreadable, ...within]) };
  }
  fatal.push(...crossCheck(root, parsed).map(place));
  const problems = sortProblems([...fatal, ...findNotAllowed(parsed).map(place)]);
  if (fatal.length > 0 || parsed.whole === undefined) return { kind: 'invalid', problems };
  const absolute = new Map(sources.files.map((source) => [source.shown, source.absolute]));
  const config = resolveConfig(parsed.whole, root, {
    absolute: (file) => absolute.get(file) ?? file,
    home: env.HOME,
  });
  return { kind: 'usable', config, problems };
}

function syntaxProblem(place: Place, message: string): Problem {
  return toProblem({ path: [], code: 'CONFIG_INVALID', message }, place);
}
