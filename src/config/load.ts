import { type ConfigFs, findSources, realFs } from './files/files.ts';
import type { ParsedFiles } from './files/parsed-files.ts';
import { parseOnce } from './files/parsing.ts';
import { readDocuments } from './files/read.ts';
import type { Loaded } from './judge.ts';
import type { Problem } from './problem.ts';

export interface LoadOptions {
  /** Files and folders as given by `--config`, in their order. */
  readonly paths: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly readFs?: ConfigFs;
  /** Spares parsing again what did not change since the last load. Left out: everything is parsed. */
  readonly parsed?: ParsedFiles;
  /** What else there is to do while another thread parses what is long. */
  readonly meanwhile?: (() => Promise<unknown>) | undefined;
}

/** Reads, merges and checks the configuration. Whatever is wrong with it comes back, all of it at once. */
export async function loadConfig(options: LoadOptions): Promise<Loaded> {
  const { paths, env, cwd, readFs = realFs, parsed, meanwhile } = options;
  const reading = {
    fs: readFs,
    parse: parsed?.begin() ?? parseOnce,
    meanwhile: () => Promise.all([loadJudge(), meanwhile?.()]),
  };
  const sources = await findSources({ paths, env, cwd, fs: readFs });
  const main = await readDocuments(sources.files, reading);
  const { judgeDocuments } = await loadJudge();
  return judgeDocuments(main, { ...reading, sources, home: env.HOME });
}

/** What would be wrong with a text that is no file yet, and the only one that there is. */
export async function problemsOfText(
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

/** With the schema and all checks, which takes a fifth of a second. */
const loadJudge = () => import('./judge.ts');
