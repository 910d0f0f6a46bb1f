import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { busyElsewhere } from '../errors.ts';
import { isBusy, toAuditError } from './errors.ts';

const POLL_MS = 20;

/**
 * Takes the lock on a file. The kernel releases it when the process ends. Returns undefined if another process holds
 * it. Closing releases it.
 */
export function tryLock(path: string): DatabaseSync | undefined {
  const db = new DatabaseSync(path, { timeout: 0 });
  try {
    // Nothing is written, so the journal can stay in memory and no other file appears.
    db.exec('pragma journal_mode = memory; begin exclusive');
    return db;
  } catch (error) {
    db.close();
    if (isBusy(error)) return undefined;
    throw error;
  }
}

/** Like `tryLock`, with errors of the file as AUDIT_UNAVAILABLE. */
function tryAuditLock(path: string): DatabaseSync | undefined {
  try {
    return tryLock(path);
  } catch (error) {
    throw toAuditError(error);
  }
}

/**
 * Runs work while no other process holds the lock. @throws AppError BUSY_ELSEWHERE after the timeout, AUDIT_UNAVAILABLE
 * if the lock file cannot be used, and what `work` throws.
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
