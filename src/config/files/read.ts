import { mapConcurrently } from '../../core/semaphore.ts';
import { type Problem, toProblem } from '../problem.ts';
import { type ConfigFs, MAX_OPEN_FILES, readSource, type SourceFile } from './files.ts';
import type { Parse } from './parsing.ts';
import type { Located } from './yaml.ts';

export interface ReadDocuments {
  readonly documents: readonly Located[];
  /** Problems of files that could not be read or parsed. */
  readonly problems: readonly Problem[];
  /** One problem for each empty file. */
  readonly blank: readonly Problem[];
  /** Whether the documents contain the complete content of all files. */
  readonly isWhole: boolean;
  /** Maps the name of each file, as in a `Place`, to the text of the file. */
  readonly texts: ReadonlyMap<string, string>;
}

export interface ReadDeps {
  readonly fs: ConfigFs;
  readonly parse: Parse;
}

export async function readDocuments(
  files: readonly SourceFile[],
  { fs, parse }: ReadDeps,
): Promise<ReadDocuments> {
  const reads = await mapConcurrently(files, MAX_OPEN_FILES, (source) => readSource(source, fs));
  const readable = files.flatMap(({ shown }, index) => {
    const read = reads[index];
    return read?.kind === 'text' ? [{ file: shown, text: read.text }] : [];
  });
  const unreadable = reads.flatMap((read) => (read.kind === 'problem' ? [read.problem] : []));
  const parsed = await parse(readable);
  const problems = parsed.flatMap((parsedYaml) =>
    parsedYaml.problems.map(({ place, message }) =>
      toProblem({ path: [], code: 'CONFIG_INVALID', message }, place),
    ),
  );
  const blank = readable.filter(({ text }) => text.trim() === '').map(({ file }) => blankProblem(file));
  return {
    documents: parsed.flatMap(({ documents }) => documents),
    problems: [...unreadable, ...problems],
    blank,
    isWhole: unreadable.length + blank.length === 0 && parsed.every(({ isWhole }) => isWhole),
    texts: new Map(readable.map(({ file, text }) => [file, text])),
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
