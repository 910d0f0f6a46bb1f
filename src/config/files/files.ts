import { readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { mapConcurrently } from '../../core/map-concurrently.ts';
import { codeOf, FILE_FAILURES } from '../../core/system-errors.ts';
import { compareText } from '../../core/target.ts';
import { type Problem, toProblem } from '../problem.ts';

/** What is needed of the file system; errors carry the codes of Node. */
export interface ConfigFs {
  /** Follows links. */
  stat(path: string): Promise<{ isFile(): boolean; isDirectory(): boolean; readonly size: number }>;
  readdir(path: string): Promise<readonly string[]>;
  readFile(path: string): Promise<Uint8Array>;
}

export const realFs: ConfigFs = { stat, readdir, readFile };

export interface SourceFile {
  /** As the person named it. */
  readonly shown: string;
  readonly absolute: string;
}

export interface Sources {
  readonly files: readonly SourceFile[];
  readonly problems: readonly Problem[];
}

export interface FindOptions {
  readonly paths: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly fs: ConfigFs;
}

const LOCAL_FILE = 'secretbridge.yaml';
const SYSTEM_FOLDER = '/etc/secretbridge/';

/** More than ten thousand mappings need; what is larger is something else. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

/** `--config`, else SECRETBRIDGE_CONFIG (colons separate several), else ./secretbridge.yaml, else /etc/secretbridge/. */
export async function findSources(options: FindOptions): Promise<Sources> {
  const { cwd, env, fs } = options;
  const variable = (env.SECRETBRIDGE_CONFIG ?? '').split(':').filter((path) => path !== '');
  const named = options.paths.length > 0 ? options.paths : variable;
  const sourceOf = (shown: string): SourceFile => ({ shown, absolute: resolve(cwd, shown) });
  if (named.length > 0) {
    const { files, problems } = await expand(named.map(sourceOf), fs);
    // A file that is named beside its folder is one file, and not a second one with the same names in it.
    const once = new Map(files.toReversed().map((file) => [file.absolute, file]));
    return { files: files.filter((file) => once.get(file.absolute) === file), problems };
  }
  for (const path of [LOCAL_FILE, SYSTEM_FOLDER])
    if (await exists(resolve(cwd, path), fs)) return expand([sourceOf(path)], fs);
  const message = `there is no configuration: neither ${LOCAL_FILE} here nor ${SYSTEM_FOLDER}; name one with --config, or write a first one with \`secretbridge init\``;
  return { files: [], problems: [problem(LOCAL_FILE, message)] };
}

/** Each file as it is, each folder as the files in it. */
export async function expand(named: readonly SourceFile[], fs: ConfigFs): Promise<Sources> {
  const files: SourceFile[] = [];
  const problems: Problem[] = [];
  for (const { shown, absolute } of named) {
    try {
      if (!(await fs.stat(absolute)).isDirectory()) files.push({ shown, absolute });
      else {
        const found = await filesIn({ shown, absolute }, fs);
        files.push(...found);
        if (found.length === 0) problems.push(problem(shown, 'the folder holds no *.yaml or *.yml file'));
      }
    } catch (error) {
      problems.push(problem(shown, whatFailed(error)));
    }
  }
  return { files, problems };
}

/**
 * Where the service is busy, each wait for the disk is one for whatever else it does, so files are not read one after
 * the other; and a process may have only so many open.
 */
export const FILES_AT_ONCE = 64;

/**
 * Sorted, not recursive. A mounted ConfigMap has its files as links through a hidden folder (`..data`):
 * the links are followed and hidden entries are not looked into, so each file is read once.
 */
async function filesIn(folder: SourceFile, fs: ConfigFs): Promise<readonly SourceFile[]> {
  const names = (await fs.readdir(folder.absolute)).filter(isConfigName);
  const entries = [...names]
    .sort(compareText)
    .map((name) => ({ shown: join(folder.shown, name), absolute: join(folder.absolute, name) }));
  const areFolders = await mapConcurrently(entries, FILES_AT_ONCE, ({ absolute }) => isFolder(absolute, fs));
  return entries.filter((_, index) => areFolders[index] === false);
}

/** Whether a file of a folder belongs to the configuration, by its name. */
export function isConfigName(name: string): boolean {
  return /^[^.].*\.ya?ml$/.test(name);
}

export type SourceText =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'problem'; readonly problem: Problem };

/** UTF-8 text; a byte order mark is skipped, so that columns are those of the text. */
export async function readSource({ shown, absolute }: SourceFile, fs: ConfigFs): Promise<SourceText> {
  const refuse = (message: string): SourceText => ({ kind: 'problem', problem: problem(shown, message) });
  let bytes: Uint8Array;
  try {
    const { size, ...info } = await inspect(absolute, fs);
    // A pipe or a device may never end.
    if (!info.isFile) return refuse('it is not a regular file');
    if (size > MAX_FILE_BYTES) return refuse(tooLarge(size));
    bytes = await fs.readFile(absolute);
  } catch (error) {
    return refuse(whatFailed(error));
  }
  if (bytes.byteLength > MAX_FILE_BYTES) return refuse(tooLarge(bytes.byteLength));
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return text.includes('\0') ? refuse('it is not a text file: it has zero bytes') : { kind: 'text', text };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return refuse('it is not UTF-8 text');
  }
}

async function inspect(path: string, fs: ConfigFs): Promise<{ isFile: boolean; size: number }> {
  const info = await fs.stat(path);
  return { isFile: info.isFile(), size: info.size };
}

async function exists(path: string, fs: ConfigFs): Promise<boolean> {
  try {
    await fs.stat(path);
    return true;
  } catch (error) {
    // Anything else is there in some way, and is reported when it is read.
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return false;
    return codeOf(error) !== undefined;
  }
}

async function isFolder(path: string, fs: ConfigFs): Promise<boolean> {
  try {
    return (await fs.stat(path)).isDirectory();
  } catch (error) {
    whatFailed(error); // a broken link or the like: reported when it is read
    return false;
  }
}

function whatFailed(error: unknown): string {
  const code = codeOf(error);
  if (code === undefined) throw error;
  return FILE_FAILURES[code] ?? `it cannot be read (${code})`;
}

function tooLarge(size: number): string {
  const mebibytes = (size / 1024 / 1024).toFixed(1);
  return `it is too large: ${mebibytes} MiB, where 4 MiB are allowed; split it into several files`;
}

function problem(file: string, message: string): Problem {
  return toProblem({ path: [], code: 'CONFIG_INVALID', message }, { file, line: 1, column: 1 });
}
