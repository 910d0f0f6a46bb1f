import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { busyElsewhere } from '../failures.ts';
import { isBusy, unavailable } from './errors.ts';

const POLL_MS = 20;

/** The lock on a file that the kernel drops with its holder; undefined when somebody holds it. Closing gives it back. */
export function tryLock(path: string): DatabaseSync | undefined {
  const db = new DatabaseSync(path, { timeout: 0 });
  try {
    // Nothing is ever written, so the journal stays in memory and no file appears beside the lock.
    db.exec('pragma journal_mode = memory; begin exclusive');
    return db;
  } catch (error) {
    db.close();
    if (isBusy(error)) return undefined;
    throw error;
  }
}

/** The same for whoever needs it: what keeps the file from being opened keeps the audit from being written. */
function attempt(path: string): DatabaseSync | undefined {
  try {
    return tryLock(path);
  } catch (error) {
    throw unavailable(error);
  }
}

/**
 * Runs work while nobody else holds the lock. @throws AppError BUSY_ELSEWHERE when somebody holds it for too long,
 * AUDIT_UNAVAILABLE when it cannot be made, and what `work` throws.
 */
export async function withLock<T>(path: string, patienceMs: number, work: () => Promise<T>): Promise<T> {
  for (let waited = 0; ; waited += POLL_MS) {
    const lock = attempt(path);
    if (lock !== undefined) {
      try {
        return await work();
      } finally {
        lock.close();
      }
    }
    if (waited >= patienceMs) throw busyElsewhere();
    await sleep(POLL_MS);
  }
}
