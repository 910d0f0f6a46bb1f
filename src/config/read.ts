import { type ConfigFs, readSource, type SourceFile } from './files.ts';
import { type Problem, toProblem } from './problem.ts';
import { type Located, parseYaml } from './yaml.ts';

export interface ReadDocuments {
  readonly documents: readonly Located[];
  /** Of files that could not be read or parsed. */
  readonly problems: readonly Problem[];
  /** The text of each file, by the name that places have. */
  readonly texts: ReadonlyMap<string, string>;
}

export async function readDocuments(files: readonly SourceFile[], fs: ConfigFs): Promise<ReadDocuments> {
  const documents: Located[] = [];
  const problems: Problem[] = [];
  const texts = new Map<string, string>();
  for (const source of files) {
    const read = await readSource(source, fs);
    if (read.kind === 'problem') {
      problems.push(read.problem);
      continue;
    }
    const parsed = parseYaml(read.text, source.shown);
    texts.set(source.shown, read.text);
    documents.push(...parsed.documents);
    for (const { place, message } of parsed.problems)
      problems.push(toProblem({ path: [], code: 'CONFIG_INVALID', message }, place));
  }
  return { documents, problems, texts };
}
