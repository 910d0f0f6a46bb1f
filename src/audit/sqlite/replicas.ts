import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { AppError } from '../../core/errors.ts';
import { tryLock } from './lock.ts';

/**
 * Which processes that wrote into an audit file still run. Each holds a lock for its life that the kernel drops
 * when it ends, however it ends; a process id could have been given to another process since. The lock is an
 * exclusive transaction on an empty SQLite file: the one lock that Node offers without a native module.
 *
 * All functions but the release must be called within a write transaction of the audit file. So nobody takes a
 * file that was just made and not yet locked for that of an ended process.
 */
export interface Replicas {
  /** The returned function gives the lock back. */
  hold(replica: string): () => void;
  hasEnded(replica: string): boolean;
  /** How many run, one aside. */
  running(except: string): number;
  /** Removes what ended processes left. */
  tidy(): void;
}

const SUFFIX = '.lock';

/** Keeps them from the garbage collector, which would close them and so give the locks back. */
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
      if (lock === undefined) throw new AppError('INTERNAL', { detail: `replica ${replica} runs already` });
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
    running: (except) => names().filter((replica) => replica !== except && !hasEnded(replica)).length,
    tidy() {
      for (const replica of names()) if (hasEnded(replica)) rmSync(lockPath(replica), { force: true });
    },
  };
}
