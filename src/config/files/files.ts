import { isUtf8 } from 'node:buffer';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { append } from '../../core/lists.ts';
import { mapConcurrently } from '../../core/semaphore.ts';
import { codeOf, FILE_FAILURES } from '../../core/system-errors.ts';
import { compareText } from '../../core/target.ts';
import { type Problem, toProblem } from '../problem.ts';
import type { Located } from './yaml.ts';

/** The file system calls that loading needs. Errors carry Node's error codes. */
export interface ConfigFs {
  /** Follows symbolic links. */
  stat(path: string): Promise<{ isFile(): boolean; isDirectory(): boolean; readonly size: number }>;
  readdir(path: string): Promise<readonly string[]>;
  readFile(path: string): Promise<Uint8Array>;
  /** Whether a file is below its folder after symbolic links are followed. */
  staysInFolder(path: string): Promise<boolean>;
  /** Whether the file is certainly the same as in the previous load, so that it need not be read. */
  isUnchanged?(path: string): boolean;
  /**
   * Frees the content of a file, which is not used any more. Otherwise the garbage collection may free it only after
   * dozens of long files.
   */
  release?(path: string, bytes: Uint8Array): void;
}

export const realFs: ConfigFs = {
  stat,
  readdir,
  readFile,
  async staysInFolder(path) {
    const [file, folder] = await Promise.all([realpath(path), realpath(dirname(path))]);
    return file.startsWith(folder + sep);
  },
  release(_, { buffer, byteLength }) {
    // A short content may share its memory with others.
    if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
  },
};

export interface SourceFile {
  /** The path as written by the user. */
  readonly shown: string;
  readonly absolute: string;
}

/** The content of one file. */
export interface ReadFile {
  readonly source: SourceFile;
  readonly documents: readonly Located[];
  /** Problems for which the file could not be read or parsed. An empty file is a problem too. */
  readonly problems: readonly Problem[];
  /** Whether the documents contain the complete content of the file. */
  readonly isWhole: boolean;
  /** `undefined` if the file could not be read. */
  readonly text: string | undefined;
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

/** Enough for more than ten thousand mappings. A larger file is probably not a configuration. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

/**
 * Finds the configuration files. It tries `--config`, then SECRETBRIDGE_CONFIG (paths separated by colons), then
 * ./secretbridge.yaml, then /etc/secretbridge/.
 */
export async function findSources(options: FindOptions): Promise<Sources> {
  const { cwd, env, fs } = options;
  const variable = (env.SECRETBRIDGE_CONFIG ?? '').split(':').filter((path) => path !== '');
  const named = options.paths.length > 0 ? options.paths : variable;
  const sourceOf = (shown: string): SourceFile => ({ shown, absolute: resolve(cwd, shown) });
  if (named.length > 0) {
    const { files, problems } = await expandFolders(named.map(sourceOf), fs);
    // If a file is named both directly and through its folder, it counts once.
    const lastByPath = new Map(files.toReversed().map((file) => [file.absolute, file]));
    return { files: files.filter((file) => lastByPath.get(file.absolute) === file), problems };
  }
  for (const path of [LOCAL_FILE, SYSTEM_FOLDER])
    if (await exists(resolve(cwd, path), fs)) return expandFolders([sourceOf(path)], fs);
  const message = `no configuration found: neither ${LOCAL_FILE} here nor ${SYSTEM_FOLDER}; name a file with --config, or create one with \`secretbridge init\``;
  return { files: [], problems: [problem(LOCAL_FILE, message)] };
}

/** Keeps each file, and replaces each folder by the files in it. A folder with more than `maxFiles` is refused. */
export async function expandFolders(
  named: readonly SourceFile[],
  fs: ConfigFs,
  maxFiles = Number.POSITIVE_INFINITY,
): Promise<Sources> {
  const files: SourceFile[] = [];
  const problems: Problem[] = [];
  for (const { shown, absolute } of named) {
    try {
      if (!(await fs.stat(absolute)).isDirectory()) files.push({ shown, absolute });
      else {
        const names = (await fs.readdir(absolute)).filter(isConfigName);
        if (names.length > maxFiles) {
          problems.push(
            problem(shown, `the folder contains ${names.length} files, at most ${maxFiles} are allowed`),
          );
          continue;
        }
        const folderFiles = await filesIn({ shown, absolute }, names, fs);
        append(files, folderFiles);
        if (folderFiles.length === 0)
          problems.push(problem(shown, 'the folder contains no *.yaml or *.yml file'));
      }
    } catch (error) {
      problems.push(problem(shown, describeFailure(error)));
    }
  }
  return { files, problems };
}

/**
 * The number of files that are read concurrently. Concurrency helps, because a busy service reacts late to the end of
 * each disk access. The limit is needed, because a process may open only a certain number of files.
 */
export const MAX_OPEN_FILES = 64;

/**
 * Returns the sorted files directly in a folder. In a mounted ConfigMap the files are links into a hidden folder
 * (`..data`). Links are followed and hidden entries are skipped, so that each file is read once.
 */
async function filesIn(
  folder: SourceFile,
  names: readonly string[],
  fs: ConfigFs,
): Promise<readonly SourceFile[]> {
  const entries = [...names]
    .sort(compareText)
    .map((name) => ({ shown: join(folder.shown, name), absolute: join(folder.absolute, name) }));
  const areFolders = await mapConcurrently(entries, MAX_OPEN_FILES, ({ absolute }) => isFolder(absolute, fs));
  return entries.filter((_, index) => areFolders[index] === false);
}

/** Whether the name of a file in a folder marks it as part of the configuration. */
export function isConfigName(name: string): boolean {
  return /^[^.].*\.ya?ml$/.test(name);
}

export type SourceText =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'problem'; readonly problem: Problem };

/** Reads UTF-8 text. A byte order mark is removed, so that columns are correct. */
export async function readSource({ shown, absolute }: SourceFile, fs: ConfigFs): Promise<SourceText> {
  const refuse = (message: string): SourceText => ({ kind: 'problem', problem: problem(shown, message) });
  let bytes: Uint8Array;
  try {
    const { size, ...info } = await inspect(absolute, fs);
    // Reading a pipe or a device may never end.
    if (!info.isFile) return refuse('this is not a regular file');
    if (size > MAX_FILE_BYTES) return refuse(tooLarge(size));
    bytes = await fs.readFile(absolute);
  } catch (error) {
    return refuse(describeFailure(error));
  }
  if (bytes.byteLength > MAX_FILE_BYTES) return refuse(tooLarge(bytes.byteLength));
  if (!isUtf8(bytes)) return refuse('this is not UTF-8 text');
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    .toString('utf8')
    .replace(/^\uFEFF/, '');
  fs.release?.(absolute, bytes);
  return text.includes('\0')
    ? refuse('this is not a text file: it contains zero bytes')
    : { kind: 'text', text };
}

async function inspect(path: string, fs: ConfigFs): Promise<{ isFile: boolean; size: number }> {
  const info = await fs.stat(path);
  return { isFile: info.isFile(), size: info.size };
}

/** Returns the number of bytes that reading a file takes. Reading reports each error, and refuses large files. */
export async function readSize({ absolute }: SourceFile, fs: ConfigFs): Promise<number> {
  try {
    const { isFile, size } = await inspect(absolute, fs);
    return isFile && size <= MAX_FILE_BYTES ? size : 0;
  } catch (error) {
    describeFailure(error);
    return 0;
  }
}

/** Whether a file in a folder is a link that leads out of the folder. */
export async function leadsOut({ absolute }: SourceFile, fs: ConfigFs): Promise<boolean> {
  try {
    return !(await fs.staysInFolder(absolute));
  } catch (error) {
    describeFailure(error); // Reading the file reports the error.
    return false;
  }
}

async function exists(path: string, fs: ConfigFs): Promise<boolean> {
  try {
    await fs.stat(path);
    return true;
  } catch (error) {
    // After any other error the path exists, and reading it reports the error.
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return false;
    return codeOf(error) !== undefined;
  }
}

async function isFolder(path: string, fs: ConfigFs): Promise<boolean> {
  try {
    return (await fs.stat(path)).isDirectory();
  } catch (error) {
    describeFailure(error); // The entry may be a broken link. Reading the entry reports the error.
    return false;
  }
}

function describeFailure(error: unknown): string {
  // Says what is wrong with a ConfigMap.
  if (error instanceof AppError) return error.detail ?? error.message;
  const code = codeOf(error);
  if (code === undefined) throw error;
  return FILE_FAILURES[code] ?? `the file cannot be read (${code})`;
}

function tooLarge(size: number): string {
  const mebibytes = (size / 1024 / 1024).toFixed(1);
  return `the file is too large: ${mebibytes} MiB, at most 4 MiB are allowed; split it into several files`;
}

function problem(file: string, message: string): Problem {
  return toProblem({ path: [], code: 'CONFIG_INVALID', message }, { file, line: 1, column: 1 });
}
