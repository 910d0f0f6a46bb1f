import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { because, systemCode, unusable } from '../failures.ts';
import { isBusy, isSqlite, unavailable } from './errors.ts';
import { checkFile, migrate } from './migrations.ts';

/** One SQLite file with the rules of its use: who waits, what is a transaction, when to give up. */
export interface SqliteFile {
  /** Without symbolic links: what SQLite puts beside a file lies beside the real one. */
  readonly path: string;
  /** Failures are AUDIT_UNAVAILABLE. */
  read<T>(work: (db: DatabaseSync) => T): Promise<T>;
  /** All of `work` or nothing of it, durable when it resolves. No other process writes meanwhile. */
  write<T>(work: (db: DatabaseSync) => T): Promise<T>;
  close(): void;
}

/** How long SQLite itself waits for a lock. Short, since it blocks the whole process; the rest is slept. */
const BLOCKING_WAIT_MS = 20;

export async function openWriter(name: string, lockTimeoutMs: number): Promise<SqliteFile> {
  const { db, path } = await patiently(lockTimeoutMs, () => {
    createFile(name);
    const real = realpathSync(name);
    return { db: open(real, false), path: real };
  });
  try {
    await patiently(lockTimeoutMs, () => {
      // Before anything that writes: it may be the file of another program.
      checkFile(db, 'write');
      db.exec('pragma journal_mode = wal; pragma synchronous = full; pragma trusted_schema = off');
      // 8 MiB: with the default of 2 the indexes of a large log do not fit, and appending becomes slow. With 16 it is
      // no faster.
      db.exec('pragma cache_size = -8192');
    });
    const opened = identity(name);
    const file: SqliteFile = {
      path,
      read: (work) => patiently(lockTimeoutMs, () => work(db)),
      write: (work) =>
        patiently(lockTimeoutMs, () => {
          // SQLite would go on writing into a file that nobody can find any more.
          if (identity(name) !== opened) throw because('the file was removed or replaced while in use');
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
 * Leaves no trace. A reader of a WAL database makes files beside it, or fails where it may not; without a WAL
 * there is nothing in them, so the file is then read as if it could not change, and again if it did.
 */
export async function openReader(name: string, lockTimeoutMs: number): Promise<SqliteFile> {
  const path = await patiently(lockTimeoutMs, () => realpathSync(name));
  let state = '';
  let db: DatabaseSync | undefined;
  function current(): DatabaseSync {
    const now = fileState(path);
    if (db !== undefined && now === state) return db;
    db?.close();
    db = undefined;
    const opened = open(path, true, !hasWal(path));
    try {
      if (checkFile(opened, 'read') === 'empty') throw because('it holds no audit log yet');
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
      patiently(lockTimeoutMs, () => {
        for (;;) {
          const before = fileState(path);
          const unchanged = (): boolean => hasWal(path) || fileState(path) === before;
          try {
            const result = work(current());
            if (unchanged()) return result;
          } catch (error) {
            // What was half read while somebody wrote looks damaged.
            if (unchanged()) throw error;
          }
        }
      }),
    write: () => Promise.reject(because('it was opened for reading only')),
    close: () => db?.close(),
  };
  await file.read(() => undefined);
  return file;
}

function open(path: string, readOnly: boolean, immutable = false): DatabaseSync {
  // SQLite would say that the disk refuses to read.
  if (statSync(path).isDirectory()) throw unusable('it cannot be opened: it is a folder');
  const url = pathToFileURL(path);
  if (immutable) url.search = 'immutable=1';
  return new DatabaseSync(url, { readOnly, timeout: BLOCKING_WAIT_MS });
}

/** Not `recursive`: that never returns where the system says ENOENT below a folder that exists (/proc). */
function createFolder(path: string): void {
  if (existsSync(path)) return;
  createFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}

/** Ours are for their owner only; SQLite gives the files beside it the same mode. */
function createFile(path: string): void {
  const folder = dirname(path);
  createFolder(folder);
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return;
    throw error;
  }
  // A file is only as durable as its name in the folder.
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

/** Tries again while another process holds a lock, without blocking this one. */
async function patiently<T>(timeoutMs: number, work: () => T): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (let pause = 1; ; pause = Math.min(pause * 2, 20)) {
    try {
      return work();
    } catch (error) {
      if (!isBusy(error) || performance.now() >= deadline) throw unavailable(error);
    }
    await sleep(pause);
  }
}

function close(db: DatabaseSync): void {
  try {
    // Lets later queries choose the index that narrows most; looks at few rows only.
    db.exec('pragma analysis_limit = 400; pragma optimize');
  } catch (error) {
    // A full disk or a busy file: nothing is lost but some speed.
    if (!isSqlite(error)) throw error;
  } finally {
    db.close();
  }
}

function identity(path: string): string {
  const { dev, ino } = statSync(path);
  return `${dev}:${ino}`;
}

/** Whether a part of the content lies beside the file. */
function hasWal(path: string): boolean {
  return ['-wal', '-journal'].some(
    (suffix) => (statSync(path + suffix, { throwIfNoEntry: false })?.size ?? 0) > 0,
  );
}

function fileState(path: string): string {
  const { dev, ino, size, mtimeMs } = statSync(path);
  return [dev, ino, size, mtimeMs, hasWal(path)].join(':');
}
