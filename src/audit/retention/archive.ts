import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder, namesIn, syncFolder } from '../../core/folders.ts';
import type { Head, StoredRecord } from '../chain.ts';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { checkpointsIn, lineOf } from '../checkpoint/lines.ts';
import { jsonLine } from '../export/export.ts';
import { because, onDisk, systemCode } from '../failures.ts';

/** Records that leave together, and the checkpoint that seals the last of them. */
export interface Segment {
  /** What the first of them follows. */
  readonly base: Head;
  readonly seal: Checkpoint;
}

/** A folder of a store's own: `audit-<from>-<to>.jsonl`, each with its checkpoint in `audit-<from>-<to>.checkpoint`. */
export interface Archive {
  readonly path: string;
  /**
   * Stands under its name when it is whole and on the disk; nothing is overwritten by something else. The same
   * segment may be written again. `fill` gives the records, and throws when they are not to be kept.
   * @returns The name of the file.
   * @throws AppError AUDIT_UNAVAILABLE
   */
  write(
    segment: Segment,
    fill: (add: (record: StoredRecord) => Promise<void>) => Promise<void>,
  ): Promise<string>;
  /** The seals of segments that follow this record and are there already: a crash came before they left the store. */
  begun(base: Head): Promise<readonly Checkpoint[]>;
}

/** In characters: what is written at once. */
const CHUNK = 65_536;
const SEAL = '.checkpoint';
const WHAT_TO_DO = 'Check that `audit.archive` can be read and written, and that its disk is not full.';

export function createArchive(folder: string): Archive {
  const named = <T>(work: () => Promise<T>) =>
    onDisk({ what: 'the archive', about: `archive ${folder}`, todo: WHAT_TO_DO }, work);
  return {
    path: folder,
    write: (segment, fill) => named(() => write(folder, segment, fill)),
    begun: ({ sequence }) => named(() => begun(folder, sequence + 1)),
  };
}

async function write(folder: string, { base, seal }: Segment, fill: Parameters<Archive['write']>[1]) {
  const stem = `audit-${base.sequence + 1}-${seal.sequence}`;
  const name = `${stem}.jsonl`;
  const path = join(folder, name);
  await makeFolder(folder);
  await draft(path, async (part, hash) => {
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
    // Before the records: where they stand, their proof does.
    await draft(join(folder, `${stem}${SEAL}`), async (part) => part.writeFile(`${lineOf(seal)}\n`), true);
    await rename(`${path}.part`, path);
  } catch (error) {
    // On a full disk it is in the way of all that is to be written there.
    await rm(`${path}.part`, { force: true });
    throw error;
  }
  await syncFolder(folder);
  return name;
}

type Draft = Awaited<ReturnType<typeof open>>;

/** Fills `<path>.part` and leaves it there, durable, or renamed: without any trace where that fails. */
async function draft(
  path: string,
  fill: (part: Draft, hash: Hash) => Promise<void>,
  replace = false,
): Promise<void> {
  const part = `${path}.part`;
  await rm(part, { force: true });
  try {
    const hash = createHash('sha256');
    {
      // Never through somebody's link.
      await using file = await open(part, 'wx', 0o600);
      await fill(file, hash);
      await file.sync();
    }
    if (replace) return await rename(part, path);
    const written = hash.digest('hex');
    // Read again: what was written counts, not what should have been.
    if ((await hashOfFile(part)) !== written) throw because(`${part} is not what was written to it`);
    const before = await hashOfFile(path);
    if (before !== undefined && before !== written)
      throw because(
        `${path} is there already and holds something else: each store needs a folder of its own`,
      );
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

/** `undefined`: there is none. */
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

async function begun(folder: string, from: number): Promise<readonly Checkpoint[]> {
  const names = new Set(await namesIn(folder));
  const found: Checkpoint[] = [];
  for (const name of names) {
    const [, first, last] = /^audit-(\d+)-(\d+)\.jsonl$/.exec(name) ?? [];
    const seal = name.replace(/\.jsonl$/, SEAL);
    if (Number(first) !== from || !names.has(seal)) continue;
    const checkpoints = checkpointsIn(await readFile(join(folder, seal), 'utf8'));
    found.push(...checkpoints.filter(({ sequence }) => sequence === Number(last)));
  }
  return found;
}
