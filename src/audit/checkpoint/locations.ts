import { constants } from 'node:fs';
import { access, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { makeFolder, nearestFolder, syncFolder } from '../../core/folders.ts';
import { canonical } from '../chain.ts';
import { systemCode, withFileErrors } from '../errors.ts';
import { type Checkpoint, type CheckpointLocation, checkpointLine, parseCheckpoints } from './checkpoint.ts';
import { compareTime } from './compare.ts';

/** Prints each checkpoint as a line `{"checkpoint":{…}}` for a log collector. The lines cannot be read back. */
export function stdoutLocation(print: (line: string) => void): CheckpointLocation {
  return {
    name: 'standard output',
    write: async (checkpoint) => print(canonical({ checkpoint })),
    checkWritable: async () => {},
    read: async () => [],
  };
}

const REMEDY =
  'Check that the file in `audit.checkpoints` can be read and written, and that its disk is not full.';

/** Appends one line for each checkpoint and syncs the file. Several processes may append to the same file. */
export function fileLocation(path: string): CheckpointLocation {
  const name = `file ${path}`;
  const withErrors = <T>(work: () => Promise<T>) =>
    withFileErrors({ what: 'the checkpoints', about: name, todo: REMEDY }, work);
  return {
    name,
    write: (checkpoint) => withErrors(() => append(path, `${checkpointLine(checkpoint)}\n`)),
    checkWritable: () => withErrors(() => checkWritable(path)),
    read: () => withErrors(() => read(path)),
  };
}

async function append(path: string, line: string): Promise<void> {
  const folder = dirname(path);
  await makeFolder(folder);
  await using file = await open(path, 'a+', 0o600);
  const { size } = await file.stat();
  // A crash may have left an incomplete last line. In this case, start with a line break, so that the checkpoint gets a
  // line of its own.
  const isTorn = size > 0 && !(await endsWithNewline(file, size));
  // Use a single write call. With several calls, the lines of two processes could interleave.
  await file.appendFile(isTorn ? `\n${line}` : line);
  await file.sync();
  if (size === 0) await syncFolder(folder);
}

/**
 * Opens the file without creating it. If the file is missing, checks that its closest existing parent folder is
 * writable.
 */
async function checkWritable(path: string): Promise<void> {
  try {
    await using _ = await open(path, constants.O_RDWR | constants.O_APPEND);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    await access(await nearestFolder(dirname(path)), constants.W_OK | constants.X_OK);
  }
}

async function endsWithNewline(file: Awaited<ReturnType<typeof open>>, size: number): Promise<boolean> {
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0] === 0x0a;
}

async function read(path: string) {
  try {
    return parseCheckpoints(await readFile(path, 'utf8'));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/**
 * Reads and writes the ConfigMap of a location. A write must return `conflict` if the object has changed since it was
 * read.
 */
export interface ConfigMapClient<Stored extends StoredMap = StoredMap> {
  read(): Promise<Stored | undefined>;
  /** `conflict`: another writer changed the object first, and nothing was written. */
  write(
    data: Readonly<Record<string, string>>,
    read: Stored | undefined,
    options?: { readonly dryRun?: boolean },
  ): Promise<'written' | 'conflict'>;
}

export interface StoredMap {
  readonly data: Readonly<Record<string, string>>;
}

export const CHECKPOINTS_KEY = 'checkpoints.jsonl';

/** 100 checkpoints take about 40 KiB. A ConfigMap may hold 1 MiB. */
const MAX_CHECKPOINTS = 100;
const MAX_ATTEMPTS = 8;

/**
 * Keeps the last 100 checkpoints in one key of a ConfigMap. Replicas may write at the same time: each one adds its
 * checkpoint to the list that it read, and retries after a conflict.
 */
export function configMapLocation<Stored extends StoredMap>(
  name: string,
  client: ConfigMapClient<Stored>,
): CheckpointLocation {
  return {
    name,
    isShared: true,
    async write(checkpoint) {
      for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
        const configMap = await client.read();
        const before = parseCheckpoints(configMap?.data[CHECKPOINTS_KEY] ?? '');
        if (before.some(({ signature }) => signature === checkpoint.signature)) return;
        const lines = [...before, checkpoint]
          .toSorted(compareTime)
          .slice(-MAX_CHECKPOINTS)
          .map(checkpointLine);
        const data = { ...configMap?.data, [CHECKPOINTS_KEY]: `${lines.join('\n')}\n` };
        if ((await client.write(data, configMap)) === 'written') return;
      }
      throw new AppError('CONFLICT', { subject: name });
    },
    async checkWritable() {
      const configMap = await client.read();
      await client.write(configMap?.data ?? {}, configMap, { dryRun: true });
    },
    async read(): Promise<readonly Checkpoint[]> {
      return parseCheckpoints((await client.read())?.data[CHECKPOINTS_KEY] ?? '');
    },
  };
}
