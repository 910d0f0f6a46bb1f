import { open } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { unusable } from './disk.ts';

const POLL_MS = 5;
const PATIENCE_MS = 10_000;
/** https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;

/**
 * Runs work while no other process does, by the lock on an empty SQLite file. The kernel releases it when the
 * process ends, however it ends. A file with a process id could not do that: in containers everybody is
 * process 1, and one that died looks as if it lived.
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
    if (waited >= PATIENCE_MS) {
      throw unusable(`another process holds ${path}`);
    }
    await sleep(POLL_MS, undefined, signal ? { signal } : {});
  }
  return await work();
}

function tryLock(database: DatabaseSync): boolean {
  try {
    // Nothing is ever written, so the journal stays in memory: a full disk has no room for one, and what is to be taken
    // away needs none.
    database.exec('PRAGMA journal_mode = memory; BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) return false;
    throw error;
  }
}
