import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { AppError } from '../../core/errors.ts';
import { tryLock } from './lock.ts';

/**
 * Shows which of the processes that wrote to an audit file are still running. Each process holds a lock while it runs,
 * and the kernel releases the lock however the process ends. A process id would not be enough, because ids are reused.
 * The lock is an exclusive transaction on an empty SQLite file. Node offers no other lock without a native module.
 *
 * All functions except the release function must run in a write transaction of the audit file. Otherwise, if a lock
 * file was created but not locked yet, it would look like the file of an ended process.
 */
export interface Replicas {
  /** Takes the lock of this process. Returns a function that releases it. */
  hold(replica: string): () => void;
  hasEnded(replica: string): boolean;
  /** Returns the number of running processes, not counting `except`. */
  countRunning(except: string): number;
  /** Deletes the lock files of ended processes. */
  removeStale(): void;
}

const SUFFIX = '.lock';

/**
 * Keeps references to the locks. Otherwise the garbage collector would close the databases, and closing them releases
 * the locks.
 */
const heldLocks = new Set<DatabaseSync>();

export function createReplicas(auditPath: string): Replicas {
  const folder = `${auditPath}.replicas`;
  const lockPath = (replica: string): string => join(folder, encodeURIComponent(replica) + SUFFIX);
  const held = new Set<string>();

  function hasEnded(replica: string): boolean {
    if (held.has(replica)) return false;
    const path = lockPath(replica);
    if (!existsSync(path)) return true;
    const lock = tryLock(path);
    lock?.close();
    return lock !== undefined;
  }

  function names(): readonly string[] {
    const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(SUFFIX)) : [];
    return files.map((name) => decodeURIComponent(name.slice(0, -SUFFIX.length)));
  }

  return {
    hold(replica) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const path = lockPath(replica);
      const lock = tryLock(path);
      if (lock === undefined)
        throw new AppError('INTERNAL', { detail: `replica ${replica} is already running` });
      held.add(replica);
      heldLocks.add(lock);
      return () => {
        held.delete(replica);
        heldLocks.delete(lock);
        lock.close();
        rmSync(path, { force: true });
      };
    },
    hasEnded,
    countRunning: (except) => names().filter((replica) => replica !== except && !hasEnded(replica)).length,
    removeStale() {
      for (const replica of names()) if (hasEnded(replica)) rmSync(lockPath(replica), { force: true });
    },
  };
}
