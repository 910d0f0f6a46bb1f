import { resolve } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../../core/clock.ts';
import { auditUnavailable, withStoreAddress } from '../errors.ts';
import { createGroupCommit } from '../group-commit.ts';
import type { MovableAudit } from '../move/movable-audit.ts';
import * as queries from '../records/queries.ts';
import { type Chunk, createRecordReader } from '../records/record-reader.ts';
import type { RunQuery } from '../records/search.ts';
import {
  checkSearchRows,
  PRUNED_DURING_READ,
  recordParser,
  reviewedSequences,
  type StoredRow,
} from '../records/stored-rows.ts';
import { sanitizeEntry } from '../sanitize-entry.ts';
import { openReader, openWriter, type SqliteFile } from './file.ts';
import { runFingerprintQuery } from './fingerprints.ts';
import { withLock } from './lock.ts';
import { version } from './migrations.ts';
import { importRetained, pruneSqlite } from './prune.ts';
import { createReplicas, type Replicas } from './replicas.ts';
import {
  importRecords,
  prepareWriter,
  type RecordWriter,
  readBase,
  readHead,
  rewriteHead,
  rows,
  sqliteQueries,
} from './rows.ts';

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
      file.close();
      throw error;
    }
  });
}

interface Presence {
  readonly replicas: Replicas;
  readonly release: () => void;
}

function createStore(
  options: SqliteAuditOptions,
  file: SqliteFile,
  presence: Presence | undefined,
): MovableAudit {
  const { path, instance, replica, clock } = options;
  const db = sqliteQueries;
  let writer: RecordWriter | undefined;
  let closed = false;

  function use<T>(work: () => Promise<T>): Promise<T> {
    return withStoreAddress(path, () => (closed ? Promise.reject(auditUnavailable('it is closed')) : work()));
  }

  function requireWriter(): Presence {
    if (presence === undefined) throw auditUnavailable('it was opened for reading only');
    return presence;
  }

  const commits = createGroupCommit((entries) =>
    file.write((sqlite) => {
      writer ??= prepareWriter(sqlite);
      return writer(entries, { time: new Date(clock.now()).toISOString(), instance, replica });
    }),
  );

  const ask: RunQuery = (query) => use(() => file.read((sqlite) => rows(sqlite, query)));
  const reader = createRecordReader({
    address: path,
    db,
    runQuery: ask,
    fingerprintQuery: runFingerprintQuery,
    readChunk: (part) => use(() => file.read((sqlite) => scanChunk(sqlite, part))),
  });

  return {
    ...reader,
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
        await file.write(rewriteHead);
      }),
    unresolvedIntents: (isOver = () => false) =>
      use(async () => {
        const { replicas } = requireWriter();
        return await file.write((sqlite) => {
          const retained = rows(sqlite, queries.retainedIntentsQuery(db));
          const open = [...retained, ...rows(sqlite, queries.openIntentsQuery(db))];
          const ended = new Map(open.map((row) => [row.replica, replicas.hasEnded(row.replica)]));
          replicas.removeStale();
          const isOurs = (row: (typeof open)[number]) =>
            row.replica === replica && isOver(recordParser(path)(row));
          return open.filter((row) => ended.get(row.replica) || isOurs(row)).map(recordParser(path));
        });
      }),
    exclusively: (name, work) => withLock(`${file.path}.${name}.lock`, EXCLUSIVE_TIMEOUT_MS, work),
    head: () => use(() => file.read(readHead)),
    prune: (until) =>
      use(async () => {
        requireWriter();
        return await pruneSqlite(file, reader.storedRecords, until);
      }),
    importRecords: (records, base) =>
      use(async () => {
        requireWriter();
        await file.write((sqlite) => importRecords(sqlite, records, base));
      }),
    importRetained: (records) =>
      use(async () => {
        requireWriter();
        await file.write((sqlite) => importRetained(sqlite, records));
      }),
    setMoveSource: (what) =>
      use(async () => {
        requireWriter();
        await file.write((sqlite) => sqlite.prepare('update base set moving = ?').run(what ?? null));
      }),
    countWriters: () =>
      use(async () => createReplicas(file.path).countRunning(presence === undefined ? '' : replica)),
    async [Symbol.asyncDispose]() {
      if (closed) return;
      closed = true;
      await commits.settled();
      try {
        presence?.release();
      } finally {
        file.close();
      }
    },
  };
}

/** Reads in one snapshot, so that each concurrent change of another process is visible completely or not at all. */
function scanChunk(sqlite: DatabaseSync, { from, isContinuation, limit }: Chunk): readonly StoredRow[] {
  sqlite.exec('begin');
  try {
    const { sequence: base } = readBase(sqlite);
    if (isContinuation && from <= base) throw auditUnavailable(PRUNED_DURING_READ);
    const recordRows = rows(sqlite, queries.scanQuery(sqliteQueries, Math.max(from, base + 1), limit));
    const first = recordRows[0]?.sequence ?? from;
    const last = recordRows.at(-1)?.sequence ?? from;
    const sources = rows(sqlite, queries.sourcesQuery(sqliteQueries, first, last));
    if (version(sqlite) < 2)
      return checkSearchRows(recordRows, {
        sources,
        values: undefined,
        facets: undefined,
        spans: [],
        named: [],
      });
    const values = rows(sqlite, queries.valuesQuery(sqliteQueries, first, last));
    const facets = [
      ...rows(sqlite, queries.facetsQuery(sqliteQueries, reviewedSequences(recordRows))),
      ...rows(sqlite, queries.facetRangeQuery(sqliteQueries, first, last)),
    ];
    const spans = rows(sqlite, queries.spansQuery(sqliteQueries, first, last));
    const names = facets.flatMap(({ review }) => (review === null ? [] : [review]));
    return checkSearchRows(recordRows, {
      sources,
      values,
      facets,
      spans,
      named: rows(sqlite, queries.recordsQuery(sqliteQueries, names)),
    });
  } finally {
    if (sqlite.isTransaction) sqlite.exec('rollback');
  }
}
