import { createHash } from 'node:crypto';
import { basename, dirname } from 'node:path';
import { mapConcurrently } from '../../core/map-concurrently.ts';
import { codeOf } from '../../core/system-errors.ts';
import { type ConfigFs, FILES_AT_ONCE, isConfigName } from '../files/files.ts';

/** What was asked of the file system, and a digest of each answer: the same answers make the same configuration. */
export interface Snapshot {
  /** Equal for equal content, whatever was touched, moved or swapped below it. */
  readonly digest: string;
  /** Where changes would be seen: folder to whether an entry of this name matters there. */
  readonly folders: ReadonlyMap<string, (name: string) => boolean>;
  /** Whether the answers are still the same. */
  isCurrent(fs: ConfigFs): Promise<boolean>;
}

type Verb = keyof ConfigFs;

/** Kept in memory only; a listing counts for the names that belong to a configuration. */
const DIGESTS = {
  stat: async (path: string, fs: ConfigFs) => {
    const info = await fs.stat(path);
    return info.isDirectory() ? 'folder' : `${info.isFile() ? 'file' : 'other'} ${info.size}`;
  },
  readdir: async (path: string, fs: ConfigFs) => sha256((await namesIn(path, fs)).join('\0')),
  readFile: async (path: string, fs: ConfigFs) => sha256(await fs.readFile(path)),
} satisfies Record<Verb, (path: string, fs: ConfigFs) => Promise<string>>;

/** Two answers to one question, while it was read: no snapshot of one moment. */
const UNSTEADY = 'unsteady';

export interface RecordingFs {
  readonly fs: ConfigFs;
  snapshot(): Snapshot;
}

/**
 * A file system that remembers what it was asked.
 * @param onAnswer Told when something was read.
 */
export function recordingFs(fs: ConfigFs, onAnswer: () => void = () => undefined): RecordingFs {
  const answers = new Map<string, { readonly verb: Verb; readonly path: string; readonly digest: string }>();
  const note = (verb: Verb, path: string, digest: string): void => {
    const id = `${verb} ${path}`;
    const before = answers.get(id);
    const steady = before === undefined || before.digest === digest;
    answers.set(id, { verb, path, digest: steady ? digest : UNSTEADY });
  };
  /** The real answer is given on, and the same call is digested from it: the file is read once. */
  const ask = async <T>(verb: Verb, path: string, call: () => Promise<T>, given: (answer: T) => ConfigFs) => {
    let answer: T;
    try {
      answer = await call();
    } catch (error) {
      note(verb, path, failure(error));
      throw error;
    } finally {
      onAnswer();
    }
    note(verb, path, await DIGESTS[verb](path, given(answer)));
    return answer;
  };
  return {
    fs: {
      stat: (path) =>
        ask(
          'stat',
          path,
          () => fs.stat(path),
          (info) => ({ ...fs, stat: async () => info }),
        ),
      readdir: (path) =>
        ask(
          'readdir',
          path,
          () => fs.readdir(path),
          (names) => ({ ...fs, readdir: async () => names }),
        ),
      readFile: (path) =>
        ask(
          'readFile',
          path,
          () => fs.readFile(path),
          (bytes) => ({ ...fs, readFile: async () => bytes }),
        ),
    },
    snapshot() {
      const asked = [...answers.values()];
      return {
        digest: sha256(
          [...answers]
            .map(([id, { digest }]) => `${id}\0${digest}`)
            .sort()
            .join('\n'),
        ),
        folders: foldersOf(asked),
        async isCurrent(now) {
          if (asked.some(({ digest }) => digest === UNSTEADY)) return false;
          const digests = await mapConcurrently(asked, FILES_AT_ONCE, ({ verb, path }) =>
            digestNow(verb, path, now),
          );
          return asked.every(({ digest }, index) => digest === digests[index]);
        },
      };
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

/** A mounted ConfigMap is swapped by renaming `..data`, so names with two dots in front always matter. */
function foldersOf(
  asked: readonly { readonly verb: Verb; readonly path: string }[],
): ReadonlyMap<string, (name: string) => boolean> {
  const listed = new Set(asked.filter(({ verb }) => verb === 'readdir').map(({ path }) => path));
  const named = new Map<string, Set<string>>([...listed].map((path) => [path, new Set()]));
  for (const { path } of asked) {
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
