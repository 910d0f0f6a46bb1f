import { createHash } from 'node:crypto';
import { basename, dirname } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { mapConcurrently } from '../../core/semaphore.ts';
import { codeOf } from '../../core/system-errors.ts';
import { isConfigMapPath } from '../files/config-maps.ts';
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
  /** Returns a recorded call. */
  answer(verb: Verb, path: string): RecordedCall | undefined;
  /** Whether all calls would still return the same results. ConfigMaps do not count, because a watch reports their changes. */
  isCurrent(fs: ConfigFs): Promise<boolean>;
}

type Verb = Exclude<keyof ConfigFs, 'isUnchanged' | 'release'>;

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
  readFile: async (path: string, fs: ConfigFs) => {
    const bytes = await fs.readFile(path);
    const digest = sha256(bytes);
    fs.release?.(path, bytes);
    return digest;
  },
  staysInFolder: async (path: string, fs: ConfigFs) => String(await fs.staysInFolder(path)),
} satisfies Record<Verb, (path: string, fs: ConfigFs) => Promise<string>>;

/** The digest of a file system call that returned different results during one load. */
const INCONSISTENT = 'unsteady';

type Info = Awaited<ReturnType<ConfigFs['stat']>>;

interface RecordedCall {
  readonly verb: Verb;
  readonly path: string;
  readonly digest: string;
  /** The result of `stat`. The results of other calls may be large. */
  readonly info: Info | undefined;
}

export interface RecordingFs {
  readonly fs: ConfigFs;
  snapshot(): FileSnapshot;
}

export interface RecordingOptions {
  /** Called after each read. */
  readonly onAnswer?: () => void;
  /** The results of the previous load. */
  readonly before?: FileSnapshot | undefined;
  /** Whether a path may have changed since the previous load. By default, every path may have. */
  readonly mayDiffer?: (path: string) => boolean;
}

/** Wraps a file system and records its calls and results. Repeats the results of paths that have not changed. */
export function recordingFs(fs: ConfigFs, options: RecordingOptions = {}): RecordingFs {
  const recorder = new Recorder(options);
  return {
    fs: {
      async stat(path) {
        // The content says everything about a ConfigMap. Other results would only take memory.
        if (isConfigMapPath(path)) return fs.stat(path);
        const known = recorder.repeat('stat', path);
        if (known?.info !== undefined) return known.info;
        const answer = (info: Info) => DIGESTS.stat(path, { ...fs, stat: async () => info });
        return recorder.record(
          { verb: 'stat', path },
          () => fs.stat(path),
          answer,
          (info) => info,
        );
      },
      readdir(path) {
        const answer = (names: readonly string[]) =>
          DIGESTS.readdir(path, { ...fs, readdir: async () => names });
        return recorder.record({ verb: 'readdir', path }, () => fs.readdir(path), answer);
      },
      readFile(path) {
        const answer = async (bytes: Uint8Array) => sha256(bytes);
        return recorder.record({ verb: 'readFile', path }, () => fs.readFile(path), answer);
      },
      // Asked in each load, because a link may lead elsewhere without an event in its folder.
      staysInFolder(path) {
        if (isConfigMapPath(path)) return fs.staysInFolder(path);
        const answer = (isInside: boolean) =>
          DIGESTS.staysInFolder(path, { ...fs, staysInFolder: async () => isInside });
        return recorder.record({ verb: 'staysInFolder', path }, () => fs.staysInFolder(path), answer);
      },
      release: (path, bytes) => fs.release?.(path, bytes),
      isUnchanged: (path) =>
        (isConfigMapPath(path) || recorder.repeat('stat', path) !== undefined) &&
        recorder.repeat('readFile', path) !== undefined,
    },
    snapshot: () => snapshotOf(recorder.answers),
  };
}

type RecordedCalls = Readonly<Record<Verb, Map<string, RecordedCall>>>;

class Recorder {
  /** By their path. */
  readonly answers: RecordedCalls = {
    stat: new Map(),
    readdir: new Map(),
    readFile: new Map(),
    staysInFolder: new Map(),
  };
  readonly #options: RecordingOptions;

  constructor(options: RecordingOptions) {
    this.#options = options;
  }

  /** Returns the result of the previous load if it is still valid, and records it again. */
  repeat(verb: Verb, path: string): RecordedCall | undefined {
    const { before, mayDiffer } = this.#options;
    const answer = mayDiffer === undefined || mayDiffer(path) ? undefined : before?.answer(verb, path);
    if (answer === undefined || answer.digest === INCONSISTENT) return undefined;
    this.#add(answer);
    return answer;
  }

  /** @param digestOf Computes the digest from the returned result, so that a file is read only once. */
  async record<T>(
    call: Pick<RecordedCall, 'verb' | 'path'>,
    run: () => Promise<T>,
    digestOf: (result: T) => Promise<string>,
    infoOf: (result: T) => Info | undefined = () => undefined,
  ): Promise<T> {
    const { verb, path } = call;
    let result: T;
    try {
      result = await run();
    } catch (error) {
      this.#add({ verb, path, digest: failure(error), info: undefined });
      throw error;
    } finally {
      this.#options.onAnswer?.();
    }
    this.#add({ verb, path, digest: await digestOf(result), info: infoOf(result) });
    return result;
  }

  #add(answer: RecordedCall): void {
    const { verb, path, digest } = answer;
    const earlier = this.answers[verb].get(path);
    const isConsistent = earlier === undefined || earlier.digest === digest;
    this.answers[verb].set(path, isConsistent ? answer : { ...answer, digest: INCONSISTENT });
  }
}

function snapshotOf(answers: RecordedCalls): FileSnapshot {
  const requests = Object.values(answers).flatMap((byPath) => [...byPath.values()]);
  return {
    answer: (verb, path) => answers[verb].get(path),
    digest: sha256(
      requests
        .map(({ verb, path, digest }) => `${verb} ${path}\0${digest}`)
        .sort()
        .join('\n'),
    ),
    folders: foldersOf(requests),
    async isCurrent(now) {
      if (requests.some(({ digest }) => digest === INCONSISTENT)) return false;
      const onDisk = requests.filter(({ path }) => !isConfigMapPath(path));
      const digests = await mapConcurrently(onDisk, MAX_OPEN_FILES, ({ verb, path }) =>
        digestNow(verb, path, now),
      );
      return onDisk.every(({ digest }, index) => digest === digests[index]);
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
  // The message of a system error depends only on its code and the path.
  return error instanceof AppError ? `failed ${code} ${sha256(error.message)}` : `failed ${code}`;
}

async function namesIn(path: string, fs: ConfigFs): Promise<readonly string[]> {
  const names = await fs.readdir(path);
  return names.filter((name) => isConfigMapPath(path) || isConfigName(name)).sort();
}

/** Kubernetes updates a mounted ConfigMap by renaming `..data`, so names that start with `..` are always relevant. */
function foldersOf(
  requests: readonly { readonly verb: Verb; readonly path: string }[],
): ReadonlyMap<string, (name: string) => boolean> {
  const listed = new Set(requests.filter(({ verb }) => verb === 'readdir').map(({ path }) => path));
  const named = new Map<string, Set<string>>([...listed].map((path) => [path, new Set()]));
  for (const { path } of requests) {
    const names = named.get(dirname(path)) ?? new Set();
    named.set(dirname(path), names);
    // Every name in a folder of ConfigMaps is relevant.
    if (!isConfigMapPath(path)) names.add(basename(path));
  }
  return new Map(
    [...named].map(([folder, names]) => [
      folder,
      (name) =>
        isConfigMapPath(folder) ||
        names.has(name) ||
        name.startsWith('..') ||
        (listed.has(folder) && isConfigName(name)),
    ]),
  );
}

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
