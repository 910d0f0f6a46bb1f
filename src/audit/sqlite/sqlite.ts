import { resolve } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { GENESIS } from '../chain.ts';
import { auditUnavailable, withStoreAddress } from '../errors.ts';
import { createGroupCommit } from '../group-commit.ts';
import { MOVE_IN_PROGRESS, type MovableAudit } from '../move/movable-audit.ts';
import { appendEntries } from '../records/append.ts';
import { openIntentsQuery } from '../records/queries.ts';
import { createRecordStore } from '../records/record-store.ts';
import { deleteOrphanRows } from '../records/reviews.ts';
import { recordParser } from '../records/stored-rows.ts';
import { sanitizeEntry } from '../sanitize-entry.ts';
import { createSqliteDatabase } from './database.ts';
import { openReader, openWriter, type SqliteFile } from './file.ts';
import { withLock } from './lock.ts';
import { createReplicas, type Replicas } from './replicas.ts';

export interface SqliteAuditOptions {
  readonly path: string;
  readonly instance: string;
  /** The name of this process, never reused: `<host>-<pid>-<8 hex>`. */
  readonly replica: string;
  readonly clock: Clock;
  /** Creates and changes nothing. `append` and `unresolvedIntents` then fail. */
  readonly readOnly?: boolean;
  /** How long to wait while another process writes. */
  readonly lockTimeoutMs?: number;
}

/** How long `exclusively` waits for its lock. */
const EXCLUSIVE_TIMEOUT_MS = 60_000;

/** Opens the store. Several processes may use one file. They wait for each other, so that there is only one chain. */
export async function openSqliteAudit(options: SqliteAuditOptions): Promise<MovableAudit> {
  const { path, replica, readOnly = false, lockTimeoutMs = 10_000 } = options;
  const absolute = resolve(path);
  return withStoreAddress(path, async () => {
    if (readOnly) return createStore(options, await openReader(absolute, lockTimeoutMs), undefined);
    const file = await openWriter(absolute, lockTimeoutMs);
    try {
      const replicas = createReplicas(file.path);
      const release = await file.write(() => replicas.hold(replica));
      return createStore(options, file, { replicas, release });
    } catch (error) {
      await file.close();
      throw error;
    }
  });
}

interface Presence {
  readonly replicas: Replicas;
  readonly release: () => void;
}

function createStore(
  { path, instance, replica, clock }: SqliteAuditOptions,
  file: SqliteFile,
  presence: Presence | undefined,
): MovableAudit {
  const toRecord = recordParser(path);
  let isClean = false;
  let closed = false;

  function use<T>(work: () => Promise<T>): Promise<T> {
    return withStoreAddress(path, () => (closed ? Promise.reject(auditUnavailable('it is closed')) : work()));
  }

  function requireWriter(): Presence {
    if (presence === undefined) throw auditUnavailable('it was opened for reading only');
    return presence;
  }

  const database = createSqliteDatabase(file, use);
  // Not through `use`: pending appends are still written after the store was closed.
  const { transact } = createSqliteDatabase(file, (work) => work());
  const commits = createGroupCommit((entries) =>
    transact(async (transaction, state) => {
      if (!isClean) await deleteOrphanRows(transaction.query);
      const context = { time: new Date(clock.now()).toISOString(), instance, replica };
      const records = await appendEntries(transaction, state, entries, context);
      isClean = true;
      return records;
    }),
  );

  return {
    ...createRecordStore({ address: path, database, isReadOnly: presence === undefined }),
    address: path,
    append: (entries) =>
      use(async () => {
        requireWriter();
        // Sanitize before batching, so that a malformed entry fails only its own caller.
        const plain = entries.map(sanitizeEntry);
        return plain.length === 0 ? [] : await commits.append(plain);
      }),
    checkWritable: () =>
      use(async () => {
        requireWriter();
        await database.transact(async ({ change }, { head, moving }) => {
          if (moving !== null) throw auditUnavailable(MOVE_IN_PROGRESS);
          // SQLite skips unchanged pages, so the head is changed and then restored.
          await change({ rows: {}, head: { ...head, hash: `${GENESIS.hash} ` } });
          await change({ rows: {}, head });
        });
      }),
    unresolvedIntents: (isOver = () => false) =>
      use(async () => {
        const { replicas } = requireWriter();
        return await database.transact(async ({ query }) => {
          const open = await query(openIntentsQuery());
          const ended = new Map(open.map((row) => [row.replica, replicas.hasEnded(row.replica)]));
          replicas.removeStale();
          return open
            .filter((row) => ended.get(row.replica) || (row.replica === replica && isOver(toRecord(row))))
            .map(toRecord);
        });
      }),
    exclusively: (name, work) => withLock(`${file.path}.${name}.lock`, EXCLUSIVE_TIMEOUT_MS, work),
    countWriters: () =>
      use(async () => createReplicas(file.path).countRunning(presence === undefined ? '' : replica)),
    async [Symbol.asyncDispose]() {
      if (closed) return;
      closed = true;
      await commits.settled();
      try {
        presence?.release();
      } finally {
        await file.close();
      }
    },
  };
}
