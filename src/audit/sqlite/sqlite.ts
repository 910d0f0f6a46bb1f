import { resolve } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { GENESIS } from '../chain.ts';
import { auditUnavailable, withStoreAddress } from '../errors.ts';
import { createGroupCommit } from '../group-commit.ts';
import { MOVE_IN_PROGRESS, type MovableAudit } from '../move/movable-audit.ts';
import type { RecordKeys } from '../record-keys.ts';
import { appendEntries } from '../records/append.ts';
import type { Query, Transaction, WriteState } from '../records/database.ts';
import { openIntentsQuery } from '../records/queries.ts';
import { createRecordStore, createStoreAccess } from '../records/record-store.ts';
import { deleteOrphanRows } from '../records/reviews.ts';
import { recordParser } from '../records/stored-rows.ts';
import { createSqliteDatabase } from './database.ts';
import { openReader, openWriter, type SqliteFile } from './file.ts';
import { withLock } from './lock.ts';
import { createReplicas, type Replicas } from './replicas.ts';

export interface SqliteAuditOptions {
  readonly path: string;
  readonly instance: string;
  /** The name of this process: `<host>-<pid>-<8 hex digits>`. No other process ever has this name. */
  readonly replica: string;
  readonly clock: Clock;
  /** Signs new records. Without keys, new records have no HMAC. */
  readonly keys?: Pick<RecordKeys, 'sign'> | undefined;
  /** If true, the store creates and changes nothing, and `append` and `unresolvedIntents` fail. */
  readonly readOnly?: boolean;
  /** How long to wait while another process writes. */
  readonly lockTimeoutMs?: number;
}

/** How long `exclusively` waits for its lock. */
const EXCLUSIVE_TIMEOUT_MS = 60_000;

/**
 * Opens the store. Several processes may use one file. Their writes wait for each other, so that there is only one
 * chain.
 */
export async function openSqliteAudit(options: SqliteAuditOptions): Promise<MovableAudit> {
  const { path, replica, readOnly = false, lockTimeoutMs = 10_000 } = options;
  const absolute = resolve(path);
  return withStoreAddress(path, async () => {
    const file = await (readOnly ? openReader : openWriter)(absolute, lockTimeoutMs);
    try {
      const replicas = createReplicas(file.path);
      const release = readOnly ? undefined : await file.write(() => replicas.hold(replica));
      return createStore(options, file, replicas, release);
    } catch (error) {
      await file.close();
      throw error;
    }
  });
}

/** @param release Releases the lock that shows that this process is running. Undefined for a reader. */
function createStore(
  { path, instance, replica, clock, keys }: SqliteAuditOptions,
  file: SqliteFile,
  replicas: Replicas,
  release: (() => void) | undefined,
): MovableAudit {
  const toRecord = recordParser(path);
  const access = createStoreAccess(path, release === undefined);
  const { use, assertWritable } = access;
  const database = createSqliteDatabase(file, use);
  // Appends bypass `use`, because appends that are pending when the store is closed are still written.
  const { transact } = createSqliteDatabase(file, (work) => work());
  let isClean = false;
  const commits = createGroupCommit((entries) =>
    transact(async (transaction, state) => {
      if (!isClean) await deleteOrphanRows(transaction.query);
      const time = new Date(clock.now()).toISOString();
      const context = { time, instance, replica, sign: keys?.sign };
      const records = await appendEntries(transaction, state, entries, context);
      isClean = true;
      return records;
    }),
  );

  return {
    ...createRecordStore({ access, database, append: commits.append }),
    checkWritable: () =>
      use(async () => {
        assertWritable();
        await database.transact(rewriteHead);
      }),
    unresolvedIntents: (isOver = () => false) =>
      use(async () => {
        assertWritable();
        const open = await database.transact(({ query }) => openIntents(query, replicas));
        return open
          .filter((row) => row.hasEnded || (row.replica === replica && isOver(toRecord(row))))
          .map(toRecord);
      }),
    exclusively: (name, work) => withLock(`${file.path}.${name}.lock`, EXCLUSIVE_TIMEOUT_MS, work),
    countWriters: () => use(async () => replicas.countRunning(release === undefined ? '' : replica)),
    async [Symbol.asyncDispose]() {
      if (!access.close()) return;
      await commits.settled();
      try {
        release?.();
      } finally {
        await file.close();
      }
    },
  };
}

/**
 * Writes the head, to find out whether the file is writable. SQLite skips unchanged pages, so the head is changed and
 * then restored.
 */
async function rewriteHead({ change }: Transaction, { head, moving }: WriteState): Promise<void> {
  if (moving !== null) throw auditUnavailable(MOVE_IN_PROGRESS);
  await change({ rows: {}, head: { ...head, hash: `${GENESIS.hash} ` } });
  await change({ rows: {}, head });
}

/**
 * Returns the intents without an outcome, and whether their processes have ended. Deletes the lock files of ended
 * processes.
 */
async function openIntents(query: Query, replicas: Replicas) {
  const open = await query(openIntentsQuery());
  const ended = new Map(open.map(({ replica }) => [replica, replicas.hasEnded(replica)]));
  replicas.removeStale();
  return open.map((row) => ({ ...row, hasEnded: ended.get(row.replica) === true }));
}
