import { fdatasyncSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { auditUnavailable } from '../errors.ts';

/** Makes committed transactions durable. */
export interface WalSync {
  /** Call this method before a transaction. @throws AppError AUDIT_UNAVAILABLE if an earlier sync failed. */
  assertIntact(): void;
  /** Call this method after a transaction. Rejects with a file system error. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * While syncs take less than this time on average, they run in this thread. Another thread would take longer, because
 * its answer waits until the event loop is free. On a slower disk, other work of the process runs during a sync.
 */
const FAST_MS = 1.5;
/** The number of syncs that the average is about. */
const AVERAGED_SYNCS = 20;

const LOST =
  'an earlier sync to the disk failed, so records may be lost: check the disk, then restart secretbridge';

/**
 * Syncs the write-ahead log of a database. With `synchronous = full`, SQLite itself would do this at each commit, but
 * the whole process would wait for the disk. With `synchronous = normal`, SQLite syncs everything else that it needs to
 * keep the file intact (https://sqlite.org/wal.html).
 *
 * SQLite takes no locks on this file, so opening and closing it releases none.
 */
export function createWalSync(database: string): WalSync {
  const path = `${database}-wal`;
  let current: { readonly handle: FileHandle; readonly inode: number } | undefined;
  let hasFailed = false;
  let averageMs = 0;

  async function handleOfFile(): Promise<FileHandle> {
    const { ino: inode } = statSync(path);
    if (current?.inode === inode) return current.handle;
    await current?.handle.close();
    current = undefined;
    // Windows syncs only files that are open for writing.
    const handle = await open(path, 'r+');
    current = { handle, inode };
    return handle;
  }

  return {
    assertIntact() {
      // After a failed sync, the kernel may drop the data, and later syncs succeed although it is missing.
      if (hasFailed) throw auditUnavailable(LOST);
    },
    async sync() {
      const handle = await handleOfFile();
      const startedAt = performance.now();
      try {
        if (averageMs < FAST_MS) fdatasyncSync(handle.fd);
        else await handle.datasync();
        averageMs += (performance.now() - startedAt - averageMs) / AVERAGED_SYNCS;
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    },
    async close() {
      await current?.handle.close();
      current = undefined;
    },
  };
}
