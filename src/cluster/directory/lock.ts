import { open } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { directoryUnavailable } from './disk.ts';

const POLL_MS = 5;
const TIMEOUT_MS = 10_000;
/** https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;

/**
 * Runs work while this process holds an exclusive lock on an empty SQLite file. The kernel releases the lock when the
 * process ends, even after a crash. A lock file with a process id would not work in containers: every process has id 1,
 * so the process of an old lock looks alive.
 */
export async function withFolderLock<T>(
  path: string,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  signal?.throwIfAborted();
  await (await open(path, 'a', 0o600)).close();
  using database = new DatabaseSync(path, { timeout: 0 });
  for (let waited = 0; !tryLock(database); waited += POLL_MS) {
    if (waited >= TIMEOUT_MS) {
      throw directoryUnavailable(`another process holds ${path}`);
    }
    await sleep(POLL_MS, undefined, signal ? { signal } : {});
  }
  return await work();
}

function tryLock(database: DatabaseSync): boolean {
  try {
    // Keep the journal in memory, because nothing is written to the database. A journal file would need disk space, but
    // deleting a Secret must work even on a full disk.
    database.exec('PRAGMA journal_mode = memory; BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) return false;
    throw error;
  }
}
