import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { auditUnavailable, systemCode, unusableStore } from '../errors.ts';
import { isBusy, isSqlite, toAuditError } from './errors.ts';
import { checkFile, migrate } from './migrations.ts';

/** A SQLite file with retries, transactions and timeouts. */
export interface SqliteFile {
  /** With symbolic links resolved: SQLite puts its other files next to the real file. */
  readonly path: string;
  /** Failures are AUDIT_UNAVAILABLE. */
  read<T>(work: (db: DatabaseSync) => T): Promise<T>;
  /** Runs `work` in a transaction, durable when it resolves. No other process writes meanwhile. */
  write<T>(work: (db: DatabaseSync) => T): Promise<T>;
  close(): void;
}

/** How long SQLite itself waits for a lock. Short, because it blocks the whole process; longer waits use timers. */
const BLOCKING_WAIT_MS = 20;

export async function openWriter(name: string, lockTimeoutMs: number): Promise<SqliteFile> {
  const { db, path } = await retryWhileBusy(lockTimeoutMs, () => {
    createFile(name);
    const real = realpathSync(name);
    return { db: open(real, false), path: real };
  });
  try {
    await retryWhileBusy(lockTimeoutMs, () => {
      // Must come before any write: the file may belong to another program.
      checkFile(db, 'write');
      db.exec('pragma journal_mode = wal; pragma synchronous = full; pragma trusted_schema = off');
      // 8 MiB. With the default of 2 MiB, the indexes of a large log do not fit and appending is slow. 16 MiB is no
      // faster.
      db.exec('pragma cache_size = -8192');
    });
    const opened = identity(name);
    const file: SqliteFile = {
      path,
      read: (work) => retryWhileBusy(lockTimeoutMs, () => work(db)),
      write: (work) =>
        retryWhileBusy(lockTimeoutMs, () => {
          // SQLite would keep writing to a file that was removed.
          if (identity(name) !== opened)
            throw auditUnavailable('the file was removed or replaced while in use');
          return transaction(db, () => work(db));
        }),
      close: () => close(db),
    };
    await file.write(migrate);
    return file;
  } catch (error) {
    db.close();
    throw error;
  }
}

/**
 * Opens the file without creating anything. A normal reader of a WAL database creates files next to it, or fails
 * without the permission. If the WAL is empty, the file is opened as immutable, and the read is repeated if the file
 * changed.
 */
export async function openReader(name: string, lockTimeoutMs: number): Promise<SqliteFile> {
  const path = await retryWhileBusy(lockTimeoutMs, () => realpathSync(name));
  let state = '';
  let db: DatabaseSync | undefined;
  function current(): DatabaseSync {
    const now = fileState(path);
    if (db !== undefined && now === state) return db;
    db?.close();
    db = undefined;
    const opened = open(path, true, !hasWal(path));
    try {
      if (checkFile(opened, 'read') === 'empty') throw auditUnavailable('it holds no audit log yet');
    } catch (error) {
      opened.close();
      throw error;
    }
    state = now;
    db = opened;
    return opened;
  }
  const file: SqliteFile = {
    path,
    read: (work) =>
      retryWhileBusy(lockTimeoutMs, () => {
        for (;;) {
          const before = fileState(path);
          const unchanged = (): boolean => hasWal(path) || fileState(path) === before;
          try {
            const result = work(current());
            if (unchanged()) return result;
          } catch (error) {
            // A file that changed during the read may look damaged.
            if (unchanged()) throw error;
          }
        }
      }),
    write: () => Promise.reject(auditUnavailable('it was opened for reading only')),
    close: () => db?.close(),
  };
  await file.read(() => undefined);
  return file;
}

function open(path: string, readOnly: boolean, immutable = false): DatabaseSync {
  // SQLite would report an I/O error for a folder.
  if (statSync(path).isDirectory()) throw unusableStore('it cannot be opened: it is a folder');
  const url = pathToFileURL(path);
  if (immutable) url.search = 'immutable=1';
  return new DatabaseSync(url, { readOnly, timeout: BLOCKING_WAIT_MS });
}

/** Not `recursive`: that never returns where the system reports ENOENT below an existing folder (/proc). */
function createFolder(path: string): void {
  if (existsSync(path)) return;
  createFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}

/** Creates the file readable by its owner only. SQLite gives its other files the same mode. */
function createFile(path: string): void {
  const folder = dirname(path);
  createFolder(folder);
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return;
    throw error;
  }
  // Sync the folder too, or a crash may lose the name of the file.
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function transaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec('begin immediate');
  try {
    const result = work();
    db.exec('commit');
    return result;
  } finally {
    // Some failures (a full disk) have already rolled back.
    if (db.isTransaction) db.exec('rollback');
  }
}

/** Retries while another process holds a lock, without blocking this process. */
async function retryWhileBusy<T>(timeoutMs: number, work: () => T): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (let pause = 1; ; pause = Math.min(pause * 2, 20)) {
    try {
      return work();
    } catch (error) {
      if (!isBusy(error) || performance.now() >= deadline) throw toAuditError(error);
    }
    await sleep(pause);
  }
}

function close(db: DatabaseSync): void {
  try {
    // Lets later queries choose the best index. Examines only few rows.
    db.exec('pragma analysis_limit = 400; pragma optimize');
  } catch (error) {
    // A full disk or a busy file costs only some speed.
    if (!isSqlite(error)) throw error;
  } finally {
    db.close();
  }
}

function identity(path: string): string {
  const { dev, ino } = statSync(path);
  return `${dev}:${ino}`;
}

/** Whether part of the content is in a journal next to the file. */
function hasWal(path: string): boolean {
  return ['-wal', '-journal'].some(
    (suffix) => (statSync(path + suffix, { throwIfNoEntry: false })?.size ?? 0) > 0,
  );
}

function fileState(path: string): string {
  const { dev, ino, size, mtimeMs } = statSync(path);
  return [dev, ino, size, mtimeMs, hasWal(path)].join(':');
}
