import { createHash } from 'node:crypto';
import { basename, dirname } from 'node:path';
import { mapConcurrently } from '../../core/semaphore.ts';
import { codeOf } from '../../core/system-errors.ts';
import { type ConfigFs, isConfigName, MAX_OPEN_FILES } from '../files/files.ts';

/** The file system calls of one load, with a digest of each result. Equal digests mean an equal configuration. */
export interface FileSnapshot {
  /**
   * Depends only on the content. It stays equal if a file is touched or moved, or is replaced by a file with equal
   * content.
   */
  readonly digest: string;
  /** The folders to watch. Each function returns whether an entry with this name is relevant. */
  readonly folders: ReadonlyMap<string, (name: string) => boolean>;
  /** Whether all calls would still return the same results. */
  isCurrent(fs: ConfigFs): Promise<boolean>;
}

type Verb = keyof ConfigFs;

/**
 * Computes the digest of a result, for each kind of file system call. Digests stay in memory. For a directory listing,
 * only names that can belong to a configuration count.
 */
const DIGESTS = {
  stat: async (path: string, fs: ConfigFs) => {
    const info = await fs.stat(path);
    return info.isDirectory() ? 'folder' : `${info.isFile() ? 'file' : 'other'} ${info.size}`;
  },
  readdir: async (path: string, fs: ConfigFs) => sha256((await namesIn(path, fs)).join('\0')),
  readFile: async (path: string, fs: ConfigFs) => sha256(await fs.readFile(path)),
  staysInFolder: async (path: string, fs: ConfigFs) => String(await fs.staysInFolder(path)),
} satisfies Record<Verb, (path: string, fs: ConfigFs) => Promise<string>>;

/** The digest of a file system call that returned different results during one load. */
const INCONSISTENT = 'unsteady';

interface RecordedCall {
  readonly verb: Verb;
  readonly path: string;
  readonly digest: string;
}

export interface RecordingFs {
  readonly fs: ConfigFs;
  snapshot(): FileSnapshot;
}

/**
 * Wraps a file system and records its calls and results.
 * @param onAnswer Called after each read.
 */
export function recordingFs(fs: ConfigFs, onAnswer: () => void = () => undefined): RecordingFs {
  const answers = new Map<string, RecordedCall>();
  const addAnswer = (verb: Verb, path: string, digest: string): void => {
    const id = `${verb} ${path}`;
    const before = answers.get(id);
    const isConsistent = before === undefined || before.digest === digest;
    answers.set(id, { verb, path, digest: isConsistent ? digest : INCONSISTENT });
  };
  /** Computes the digest from the returned result, so that a file is read only once. */
  const record = async <T>(
    verb: Verb,
    path: string,
    call: () => Promise<T>,
    fsFromAnswer: (answer: T) => ConfigFs,
  ) => {
    let answer: T;
    try {
      answer = await call();
    } catch (error) {
      addAnswer(verb, path, failure(error));
      throw error;
    } finally {
      onAnswer();
    }
    addAnswer(verb, path, await DIGESTS[verb](path, fsFromAnswer(answer)));
    return answer;
  };
  return {
    fs: {
      stat: (path) =>
        record(
          'stat',
          path,
          () => fs.stat(path),
          (info) => ({ ...fs, stat: async () => info }),
        ),
      readdir: (path) =>
        record(
          'readdir',
          path,
          () => fs.readdir(path),
          (names) => ({ ...fs, readdir: async () => names }),
        ),
      readFile: (path) =>
        record(
          'readFile',
          path,
          () => fs.readFile(path),
          (bytes) => ({ ...fs, readFile: async () => bytes }),
        ),
      staysInFolder(path) {
        const fsFrom = (isInside: boolean) => ({ ...fs, staysInFolder: async () => isInside });
        return record('staysInFolder', path, () => fs.staysInFolder(path), fsFrom);
      },
    },
    snapshot: () => snapshotOf([...answers.values()]),
  };
}

function snapshotOf(requests: readonly RecordedCall[]): FileSnapshot {
  return {
    digest: sha256(
      requests
        .map(({ verb, path, digest }) => `${verb} ${path}\0${digest}`)
        .sort()
        .join('\n'),
    ),
    folders: foldersOf(requests),
    async isCurrent(now) {
      if (requests.some(({ digest }) => digest === INCONSISTENT)) return false;
      const digests = await mapConcurrently(requests, MAX_OPEN_FILES, ({ verb, path }) =>
        digestNow(verb, path, now),
      );
      return requests.every(({ digest }, index) => digest === digests[index]);
    },
  };
}

async function digestNow(verb: Verb, path: string, fs: ConfigFs): Promise<string> {
  try {
    return await DIGESTS[verb](path, fs);
  } catch (error) {
    return failure(error);
  }
}

function failure(error: unknown): string {
  const code = codeOf(error);
  if (code === undefined) throw error;
  return `failed ${code}`;
}

async function namesIn(path: string, fs: ConfigFs): Promise<readonly string[]> {
  return (await fs.readdir(path)).filter(isConfigName).sort();
}

/** Kubernetes updates a mounted ConfigMap by renaming `..data`, so names that start with `..` are always relevant. */
function foldersOf(
  requests: readonly { readonly verb: Verb; readonly path: string }[],
): ReadonlyMap<string, (name: string) => boolean> {
  const listed = new Set(requests.filter(({ verb }) => verb === 'readdir').map(({ path }) => path));
  const named = new Map<string, Set<string>>([...listed].map((path) => [path, new Set()]));
  for (const { path } of requests) {
    const names = named.get(dirname(path)) ?? new Set();
    named.set(dirname(path), names.add(basename(path)));
  }
  return new Map(
    [...named].map(([folder, names]) => [
      folder,
      (name) => names.has(name) || name.startsWith('..') || (listed.has(folder) && isConfigName(name)),
    ]),
  );
}

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
