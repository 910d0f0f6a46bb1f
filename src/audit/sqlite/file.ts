import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { createSerialExecutor } from '../../core/serial-executor.ts';
import { auditUnavailable, systemCode, unusableStore } from '../errors.ts';
import { isBusy, toAuditError } from './errors.ts';
import { checkFile, createTables } from './schema.ts';
import { createWalSync } from './wal-sync.ts';

/** A SQLite file, with retries, transactions and timeouts. */
export interface SqliteFile {
  /** The path with symbolic links resolved, because SQLite puts its other files next to the real file. */
  readonly path: string;
  /**
   * Runs `work` with the database. No other work of this process runs meanwhile, and `work` must not wait for anything
   * but the database. Failures are AUDIT_UNAVAILABLE.
   */
  read<T>(work: Work<T>): Promise<T>;
  /** Runs `work` in a transaction, which is durable when the promise resolves. No other process writes meanwhile. */
  write<T>(work: Work<T>): Promise<T>;
  /** Waits for running work. */
  close(): Promise<void>;
}

type Work<T> = (db: DatabaseSync) => T | Promise<T>;

/**
 * How long SQLite itself waits for a lock. The time is short, because this wait blocks the whole process. For longer
 * waits, this module retries with timers.
 */
const BLOCKING_WAIT_MS = 20;

export async function openWriter(name: string, lockTimeoutMs: number): Promise<SqliteFile> {
  const { db, path } = await retryWhileBusy(lockTimeoutMs, () => {
    createFile(name);
    const real = realpathSync(name);
    return { db: open(real, false), path: real };
  });
  try {
    const wal = await retryWhileBusy(lockTimeoutMs, () => {
      // Check the file before any write, because it may belong to another program.
      checkFile(db);
      db.exec('pragma trusted_schema = off');
      const isWal = db.prepare('pragma journal_mode = wal').get()?.journal_mode === 'wal';
      // Without a write-ahead log, which some file systems do not support, SQLite itself syncs each commit.
      db.exec(`pragma synchronous = ${isWal ? 'normal' : 'full'}`);
      // The cache has 8 MiB. With the default of 2 MiB, the indexes of a large log do not fit and appending is slow. A
      // cache of 16 MiB is no faster.
      db.exec('pragma cache_size = -8192');
      return isWal ? createWalSync(path) : undefined;
    });
    const opened = identity(name);
    const inTurn = createSerialExecutor();
    const file: SqliteFile = {
      path,
      read: (work) => retryWhileBusy(lockTimeoutMs, () => inTurn(async () => work(db))),
      write: (work) =>
        retryWhileBusy(lockTimeoutMs, () =>
          inTurn(async () => {
            // Without this check, SQLite would keep writing to a file that was removed.
            if (identity(name) !== opened)
              throw auditUnavailable('the file was removed or replaced while in use');
            wal?.assertIntact();
            const result = await inTransaction(db, 'begin immediate', () => work(db));
            // No other work sees records that are not durable yet.
            await wal?.sync();
            return result;
          }),
        ),
      close: () =>
        inTurn(async () => {
          await wal?.close();
          db.close();
        }),
    };
    await file.write(createTables);
    return file;
  } catch (error) {
    db.close();
    throw error;
  }
}

/**
 * Opens the file without creating anything. When SQLite reads a database with a WAL, it normally creates files next to
 * it, and fails without permission to do so. So if the WAL is empty, the file is opened as immutable. A read is
 * repeated if the file changed during the read.
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
      if (checkFile(opened) === 'empty') throw auditUnavailable('it holds no audit log yet');
    } catch (error) {
      opened.close();
      throw error;
    }
    state = now;
    db = opened;
    return opened;
  }
  async function readUnchanged<T>(work: Work<T>): Promise<T> {
    for (;;) {
      const before = fileState(path);
      const unchanged = (): boolean => hasWal(path) || fileState(path) === before;
      try {
        const result = await work(current());
        if (unchanged()) return result;
      } catch (error) {
        // If the file changed during the read, it may look damaged.
        if (unchanged()) throw error;
      }
    }
  }
  const inTurn = createSerialExecutor();
  const file: SqliteFile = {
    path,
    read: (work) => retryWhileBusy(lockTimeoutMs, () => inTurn(() => readUnchanged(work))),
    write: () => Promise.reject(auditUnavailable('it was opened for reading only')),
    close: () => inTurn(async () => db?.close()),
  };
  await file.read(() => undefined);
  return file;
}

function open(path: string, readOnly: boolean, immutable = false): DatabaseSync {
  // If the path is a folder, SQLite would report only an I/O error.
  if (statSync(path).isDirectory()) throw unusableStore('it cannot be opened: it is a folder');
  const url = pathToFileURL(path);
  if (immutable) url.search = 'immutable=1';
  return new DatabaseSync(url, { readOnly, timeout: BLOCKING_WAIT_MS });
}

/**
 * Creates a folder and its parents. Does not use the option `recursive`, which never returns if the system reports
 * ENOENT below an existing folder, as in /proc.
 */
function createFolder(path: string): void {
  if (existsSync(path)) return;
  createFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}

/** Creates the file with access only for its owner. SQLite uses the same mode for its other files. */
function createFile(path: string): void {
  const folder = dirname(path);
  createFolder(folder);
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return;
    throw error;
  }
  // Sync the folder too. Otherwise a crash may lose the directory entry of the file.
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Runs work in a transaction. Even if the work only reads, it sees a single state of the file. */
export async function inTransaction<T>(
  db: DatabaseSync,
  begin: 'begin' | 'begin immediate',
  work: () => T | Promise<T>,
): Promise<T> {
  db.exec(begin);
  try {
    const result = await work();
    db.exec('commit');
    return result;
  } finally {
    // After some failures, such as a full disk, SQLite has already rolled the transaction back.
    if (db.isTransaction) db.exec('rollback');
  }
}

/** Retries work while another process holds a lock. Between two attempts, this process can do other work. */
async function retryWhileBusy<T>(timeoutMs: number, work: () => T | Promise<T>): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (let pause = 1; ; pause = Math.min(pause * 2, 20)) {
    try {
      return await work();
    } catch (error) {
      if (!isBusy(error) || performance.now() >= deadline) throw toAuditError(error);
    }
    await sleep(pause);
  }
}

function identity(path: string): string {
  const { dev, ino } = statSync(path);
  return `${dev}:${ino}`;
}

/** Whether a journal next to the file contains part of the data. */
function hasWal(path: string): boolean {
  return ['-wal', '-journal'].some(
    (suffix) => (statSync(path + suffix, { throwIfNoEntry: false })?.size ?? 0) > 0,
  );
}

function fileState(path: string): string {
  const { dev, ino, size, mtimeMs } = statSync(path);
  return [dev, ino, size, mtimeMs, hasWal(path)].join(':');
}
