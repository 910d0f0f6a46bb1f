import { mapConcurrently } from '../core/map-concurrently.ts';
import { type ConfigFs, FILES_AT_ONCE, readSource, type SourceFile } from './files.ts';
import type { Parse } from './parsing.ts';
import { type Problem, toProblem } from './problem.ts';
import type { Located } from './yaml.ts';

export interface ReadDocuments {
  readonly documents: readonly Located[];
  /** Of files that could not be read or parsed. */
  readonly problems: readonly Problem[];
  /** Whether the documents hold all that stands in the files. */
  readonly isWhole: boolean;
  /** The text of each file, by the name that places have. */
  readonly texts: ReadonlyMap<string, string>;
}

export async function readDocuments(
  files: readonly SourceFile[],
  { fs, parse }: { readonly fs: ConfigFs; readonly parse: Parse },
): Promise<ReadDocuments> {
  const reads = await mapConcurrently(files, FILES_AT_ONCE, (source) => readSource(source, fs));
  const readable = files.flatMap(({ shown }, index) => {
    const read = reads[index];
    return read?.kind === 'text' ? [{ file: shown, text: read.text }] : [];
  });
  const unreadable = reads.flatMap((read) => (read.kind === 'problem' ? [read.problem] : []));
  const parsed = await parse(readable);
  const problems = parsed.flatMap((it) =>
    it.problems.map(({ place, message }) => toProblem({ path: [], code: 'CONFIG_INVALID', message }, place)),
  );
  return {
    documents: parsed.flatMap(({ documents }) => documents),
    problems: [...unreadable, ...problems],
    isWhole: unreadable.length === 0 && parsed.every(({ isWhole }) => isWhole),
    texts: new Map(readable.map(({ file, text }) => [file, text])),
  };
}
