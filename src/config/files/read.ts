import { mapConcurrently } from '../../core/semaphore.ts';
import { type Problem, toProblem } from '../problem.ts';
import {
  type ConfigFs,
  MAX_OPEN_FILES,
  type ReadFile,
  readSource,
  type SourceFile,
  type SourceText,
} from './files.ts';
import type { Parse } from './parsing.ts';
import type { ParsedYaml } from './yaml.ts';

export interface ReadDocuments extends Pick<ReadFile, 'documents' | 'problems' | 'isWhole'> {
  /** Maps the name of each file, as in a `Place`, to the text of the file. */
  readonly texts: ReadonlyMap<string, string>;
}

export interface ReadDeps {
  readonly fs: ConfigFs;
  readonly parse: Parse;
  /** The `include` of the files, if a tenant writes them. */
  readonly tenant?: string;
  /** The namespace that the mappings get, if the files are ConfigMaps. */
  readonly namespace?: string | undefined;
}

/** Reads files that make up one unit. */
export async function readDocuments(sources: readonly SourceFile[], deps: ReadDeps): Promise<ReadDocuments> {
  const files = await readFiles(sources, deps);
  return {
    documents: files.flatMap(({ documents }) => documents),
    problems: files.flatMap(({ problems }) => problems),
    isWhole: files.every(({ isWhole }) => isWhole),
    texts: new Map(
      files.flatMap(({ source, text }): [string, string][] =>
        text === undefined ? [] : [[source.shown, text]],
      ),
    ),
  };
}

/** Reads files that are independent of each other. Returns one result for each file, in order. */
export async function readFiles(
  sources: readonly SourceFile[],
  { fs, parse, tenant, namespace }: ReadDeps,
): Promise<readonly ReadFile[]> {
  const keptOf = (source: SourceFile) =>
    fs.isUnchanged?.(source.absolute) === true ? parse.known(source, tenant) : undefined;
  const reads = await mapConcurrently(sources, MAX_OPEN_FILES, async (source) => {
    const known = keptOf(source);
    return known === undefined ? { read: await readSource(source, fs) } : { known };
  });
  const texts = sources.flatMap(({ shown }, index) => {
    const { read } = reads[index] ?? {};
    return read?.kind === 'text' ? [{ file: shown, text: read.text, namespace }] : [];
  });
  const parsed = (await parse.texts(texts, tenant)).values();
  return sources.map((source, index): ReadFile => {
    const { read, known } = reads[index] ?? {};
    const file = known ?? readFileOf(source, read, () => parsed.next().value);
    parse.keep(file, tenant);
    return file;
  });
}

function readFileOf(
  source: SourceFile,
  read: SourceText | undefined,
  next: () => ParsedYaml | undefined,
): ReadFile {
  const content = read?.kind === 'text' ? next() : undefined;
  if (read?.kind !== 'text' || content === undefined) {
    const problems = read?.kind === 'problem' ? [read.problem] : [];
    return { source, documents: [], problems, isWhole: false, text: undefined };
  }
  const isBlank = read.text.trim() === '';
  const problems = content.problems.map(({ place, message }) =>
    toProblem({ path: [], code: 'CONFIG_INVALID', message }, place),
  );
  return {
    source,
    documents: content.documents,
    problems: isBlank ? [...problems, blankProblem(source.shown)] : problems,
    isWhole: content.isWhole && !isBlank,
    text: read.text,
  };
}

/**
 * Report an empty file instead of accepting it. Editors empty a file before they write it, and a full disk or a failed
 * program can also empty it. An accepted empty file would remove all of its mappings.
 */
function blankProblem(file: string): Problem {
  const message = 'the file is empty; delete it, or add a comment if this is intended';
  return toProblem({ path: [], code: 'CONFIG_INVALID', message }, { file, line: 1, column: 1 });
}
