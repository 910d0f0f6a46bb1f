import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder, namesIn, syncFolder } from '../../core/folders.ts';
import { append } from '../../core/lists.ts';
import type { Head, StoredRecord } from '../chain.ts';
import { type Checkpoint, checkpointLine, parseCheckpoints } from '../checkpoint/checkpoint.ts';
import { auditUnavailable, systemCode, withFileErrors } from '../errors.ts';
import { jsonLine } from '../export/export.ts';

/** Records that are pruned together. */
export interface Segment {
  /** The last record before the segment. */
  readonly base: Head;
  readonly seal: Checkpoint;
}

/**
 * A folder with the archived segments of one store. A segment is the file `audit-<from>-<to>.jsonl`, and its checkpoint
 * is the file `audit-<from>-<to>.checkpoint`.
 */
export interface Archive {
  readonly path: string;
  /**
   * Writes a segment. The file has a temporary name until it is complete and synced. An existing file with different
   * content is never overwritten. A segment that is already archived may be written a second time. `fill` adds the
   * records, and throws if they must not be archived.
   * @returns The name of the file.
   * @throws AppError AUDIT_UNAVAILABLE
   */
  write(
    segment: Segment,
    fill: (add: (record: StoredRecord) => Promise<void>) => Promise<void>,
  ): Promise<string>;
  /**
   * Returns the checkpoints of the archived segments that follow this record. A process crashed after it had archived
   * these segments, so they are not pruned yet.
   */
  archivedSeals(base: Head): Promise<readonly Checkpoint[]>;
}

/** The number of characters per write. */
const CHUNK = 65_536;
const SEAL_SUFFIX = '.checkpoint';
const REMEDY = 'Check that `audit.archive` can be read and written, and that its disk is not full.';

export function createArchive(folder: string): Archive {
  const withArchiveErrors = <T>(work: () => Promise<T>) =>
    withFileErrors({ what: 'the archive', about: `archive ${folder}`, todo: REMEDY }, work);
  return {
    path: folder,
    write: (segment, fill) => withArchiveErrors(() => write(folder, segment, fill)),
    archivedSeals: ({ sequence }) => withArchiveErrors(() => archivedSeals(folder, sequence + 1)),
  };
}

async function write(folder: string, { base, seal }: Segment, fill: Parameters<Archive['write']>[1]) {
  const stem = `audit-${base.sequence + 1}-${seal.sequence}`;
  const name = `${stem}.jsonl`;
  const path = join(folder, name);
  await makeFolder(folder);
  await writeTemporary(path, async (part, hash) => {
    let text = '';
    const flush = async (): Promise<void> => {
      hash.update(text);
      await part.writeFile(text);
      text = '';
    };
    await fill(async (record) => {
      text += jsonLine(record);
      if (text.length >= CHUNK) await flush();
    });
    await flush();
  });
  try {
    // Write the checkpoint first, so that archived records always have their proof.
    await writeTemporary(
      join(folder, `${stem}${SEAL_SUFFIX}`),
      async (part) => part.writeFile(`${checkpointLine(seal)}\n`),
      true,
    );
    await rename(`${path}.part`, path);
  } catch (error) {
    // Remove the incomplete file. On a full disk, it would take the space that further writes need.
    await rm(`${path}.part`, { force: true });
    throw error;
  }
  await syncFolder(folder);
  return name;
}

type TemporaryFile = Awaited<ReturnType<typeof open>>;

/**
 * Writes the file `<path>.part` and syncs it. With `replace`, renames it to `path`. If anything fails, removes
 * `<path>.part`.
 */
async function writeTemporary(
  path: string,
  fill: (part: TemporaryFile, hash: Hash) => Promise<void>,
  replace = false,
): Promise<void> {
  const part = `${path}.part`;
  await rm(part, { force: true });
  try {
    const hash = createHash('sha256');
    {
      // The flag `wx` never follows an existing link.
      await using file = await open(part, 'wx', 0o600);
      await fill(file, hash);
      await file.sync();
    }
    if (replace) return await rename(part, path);
    const written = hash.digest('hex');
    // Read the file back, to verify its content on the disk.
    if ((await hashOfFile(part)) !== written)
      throw auditUnavailable(`${part} does not contain what was written to it`);
    const before = await hashOfFile(path);
    if (before !== undefined && before !== written)
      throw auditUnavailable(`${path} already exists with other content: each store needs its own folder`);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

/** Returns the hash of a file, or undefined if the file does not exist. */
async function hashOfFile(path: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
    return hash.digest('hex');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function archivedSeals(folder: string, from: number): Promise<readonly Checkpoint[]> {
  const names = new Set(await namesIn(folder));
  const seals: Checkpoint[] = [];
  for (const name of names) {
    const [, first, last] = /^audit-(\d+)-(\d+)\.jsonl$/.exec(name) ?? [];
    const seal = name.replace(/\.jsonl$/, SEAL_SUFFIX);
    if (Number(first) !== from || !names.has(seal)) continue;
    const checkpoints = parseCheckpoints(await readFile(join(folder, seal), 'utf8'));
    append(
      seals,
      checkpoints.filter(({ sequence }) => sequence === Number(last)),
    );
  }
  return seals;
}
