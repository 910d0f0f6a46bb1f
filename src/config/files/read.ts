import { mapConcurrently } from '../../core/map-concurrently.ts';
import { type Problem, toProblem } from '../problem.ts';
import { type ConfigFs, FILES_AT_ONCE, readSource, type SourceFile } from './files.ts';
import type { Parse } from './parsing.ts';
import type { Located } from './yaml.ts';

export interface ReadDocuments {
  readonly documents: readonly Located[];
  /** Of files that could not be read or parsed. */
  readonly problems: readonly Problem[];
  /** Of files without any text. */
  readonly blank: readonly Problem[];
  /** Whether the documents hold all that stands in the files. */
  readonly isWhole: boolean;
  /** The text of each file, by the name that places have. */
  readonly texts: ReadonlyMap<string, string>;
}

export interface ReadDeps {
  readonly fs: ConfigFs;
  readonly parse: Parse;
  /** What there is to do while another thread parses what is long. */
  readonly meanwhile: () => Promise<unknown>;
}

export async function readDocuments(
  files: readonly SourceFile[],
  { fs, parse, meanwhile }: ReadDeps,
): Promise<ReadDocuments> {
  const reads = await mapConcurrently(files, FILES_AT_ONCE, (source) => readSource(source, fs));
  const readable = files.flatMap(({ shown }, index) => {
    const read = reads[index];
    return read?.kind === 'text' ? [{ file: shown, text: read.text }] : [];
  });
  const unreadable = reads.flatMap((read) => (read.kind === 'problem' ? [read.problem] : []));
  const parsed = await parse(readable, meanwhile);
  const problems = parsed.flatMap((it) =>
    it.problems.map(({ place, message }) => toProblem({ path: [], code: 'CONFIG_INVALID', message }, place)),
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
 * Whoever writes a file empties it first, and a full disk or a program that failed leaves it so. Taken as it is, all of
 * its mappings would have left the configuration.
 */
function blankProblem(file: string): Problem {
  const message = 'the file is empty; remove it if that is meant, or write a comment into it';
  return toProblem({ path: [], code: 'CONFIG_INVALID', message }, { file, line: 1, column: 1 });
}
