import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { busyElsewhere } from '../errors.ts';
import { isBusy, toAuditError } from './errors.ts';

const POLL_MS = 20;

/**
 * Locks the file. Returns undefined if another process holds the lock. Closing the returned database releases the lock,
 * and the kernel releases it when the process ends.
 */
export function tryLock(path: string): DatabaseSync | undefined {
  const db = new DatabaseSync(path, { timeout: 0 });
  try {
    // Nothing is written, so the journal can stay in memory. No other file is created.
    db.exec('pragma journal_mode = memory; begin exclusive');
    return db;
  } catch (error) {
    db.close();
    if (isBusy(error)) return undefined;
    throw error;
  }
}

/** Does the same as `tryLock`, but reports file errors as AUDIT_UNAVAILABLE. */
function tryAuditLock(path: string): DatabaseSync | undefined {
  try {
    return tryLock(path);
  } catch (error) {
    throw toAuditError(error);
  }
}

/**
 * Runs work while holding the lock. @throws AppError BUSY_ELSEWHERE after the timeout, AUDIT_UNAVAILABLE if the lock
 * file cannot be used, and errors of `work`.
 */
export async function withLock<T>(path: string, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  for (let waited = 0; ; waited += POLL_MS) {
    const lock = tryAuditLock(path);
    if (lock !== undefined) {
      try {
        return await work();
      } finally {
        lock.close();
      }
    }
    if (waited >= timeoutMs) throw busyElsewhere();
    await sleep(POLL_MS);
  }
}
