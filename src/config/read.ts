import { mapConcurrently } from '../core/map-concurrently.ts';
import { type ConfigFs, FILES_AT_ONCE, readSource, type SourceFile } from './files.ts';
import type { Parse } from './parsed-files.ts';
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
  const documents: Located[] = [];
  const problems: Problem[] = [];
  const texts = new Map<string, string>();
  let isWhole = true;
  const reads = await mapConcurrently(files, FILES_AT_ONCE, (source) => readSource(source, fs));
  for (const [index, source] of files.entries()) {
    const read = reads[index];
    if (read === undefined) continue;
    if (read.kind === 'problem') {
      problems.push(read.problem);
      isWhole = false;
      continue;
    }
    const parsed = parse(read.text, source.shown);
    texts.set(source.shown, read.text);
    documents.push(...parsed.documents);
    isWhole &&= parsed.isWhole;
    for (const { place, message } of parsed.problems)
      problems.push(toProblem({ path: [], code: 'CONFIG_INVALID', message }, place));
  }
  return { documents, problems, texts, isWhole };
}
