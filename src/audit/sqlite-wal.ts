import { type FileHandle, open } from 'node:fs/promises';
import type { DatabaseSync } from 'node:sqlite';
import { because } from './failures.ts';
import { unavailable } from './sqlite-errors.ts';

/** Brings the write-ahead log of an open database to the disk, without holding up the process meanwhile. */
export interface WalSync {
  /** Resolves when all that was committed before is on the disk. Failures are AUDIT_UNAVAILABLE. */
  sync(): Promise<void>;
  /** After a failure: has everything written to the disk anew before more follows it. */
  makeGood(): void;
  close(): void;
}

/**
 * With `synchronous = full` SQLite waits for the disk at each commit, and node:sqlite waits with it: the whole process
 * stands still for that. With `normal` it writes the same bytes in the same order and leaves out that wait alone
 * (https://www.sqlite.org/pragma.html#pragma_synchronous), which is made up for here, on another thread.
 * docs/adr/0051-the-disk-is-awaited-elsewhere.md
 *
 * @returns Nothing where the file system allows no write-ahead log: then SQLite itself goes on waiting.
 */
export async function openWalSync(
  db: DatabaseSync,
  path: string,
  openFile: (path: string, flags: string) => Promise<Pick<FileHandle, 'datasync' | 'close'>> = open,
): Promise<WalSync | undefined> {
  const mode = db.prepare('pragma journal_mode').get()?.journal_mode;
  if (mode !== 'wal') return undefined;
  // SQLite holds no locks on this one of its files, which closing it would release. It is there for as long as the
  // database is open, under whatever connection.
  const handle = await openFile(`${path}-wal`, 'r+').catch((error: unknown) => {
    throw unavailable(error);
  });
  db.exec('pragma synchronous = normal');
  let inDoubt = false;
  return {
    async sync() {
      try {
        await handle.datasync();
      } catch (error) {
        inDoubt = true;
        throw unavailable(error);
      }
    },
    makeGood() {
      if (!inDoubt) return;
      // What a disk has refused once, the system takes for written: asking again would prove nothing.
      const done = db.prepare('pragma wal_checkpoint(full)').get();
      if (done?.busy !== 0 || done.log !== done.checkpointed)
        throw because('the disk refused to store what was written last, and others use the file');
      inDoubt = false;
    },
    close: () => void Promise.allSettled([handle.close()]),
  };
}
