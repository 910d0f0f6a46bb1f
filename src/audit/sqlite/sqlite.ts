import { resolve } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../../core/clock.ts';
import { because, named } from '../failures.ts';
import { createGroupCommit } from '../group-commit.ts';
import type { MovableAudit } from '../move/moving.ts';
import { plainEntry } from '../plain-entry.ts';
import * as queries from '../records/queries.ts';
import { createReading, type Part } from '../records/reading.ts';
import type { Ask } from '../records/search.ts';
import { LEFT_MEANWHILE, provable, readable, reviewedIn, type StoredRow } from '../records/stored.ts';
import { openReader, openWriter, type SqliteFile } from './file.ts';
import { ofFingerprint } from './fingerprints.ts';
import { withLock } from './lock.ts';
import { version } from './migrations.ts';
import { keepAll, pruneSqlite } from './prune.ts';
import { createReplicas, type Replicas } from './replicas.ts';
import {
  prepareWriter,
  type RecordWriter,
  readBase,
  readHead,
  rows,
  sqliteQueries,
  takeOver,
  touch,
} from './rows.ts';

export interface SqliteAuditOptions {
  readonly path: string;
  readonly instance: string;
  /** Names this process, and no other that ever was: `<host>-<pid>-<8 hex>`. */
  readonly replica: string;
  readonly clock: Clock;
  /** Creates and changes nothing; `append` and `unresolved` fail. */
  readonly readOnly?: boolean;
  /** How long to wait for another process that writes. */
  readonly lockTimeoutMs?: number;
}

/** How long to wait for a step that only one process may do at a time. */
const EXCLUSIVE_PATIENCE_MS = 60_000;

/** Several processes may use one file: they wait for each other, and the chain stays one. */
export async function openSqliteAudit(options: SqliteAuditOptions): Promise<MovableAudit> {
  const { path, replica, readOnly = false, lockTimeoutMs = 10_000 } = options;
  const absolute = resolve(path);
  return named(path, async () => {
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
    return named(path, () => (closed ? Promise.reject(because('it is closed')) : work()));
  }

  function forWriting(): Presence {
    if (presence === undefined) throw because('it was opened for reading only');
    return presence;
  }

  const commits = createGroupCommit((entries) =>
    file.write((sqlite) => {
      writer ??= prepareWriter(sqlite);
      return writer(entries, { time: new Date(clock.now()).toISOString(), instance, replica });
    }),
  );

  const ask: Ask = (query) => use(() => file.read((sqlite) => rows(sqlite, query)));
  const reading = createReading({
    address: path,
    db,
    ask,
    ofFingerprint,
    readPart: (part) => use(() => file.read((sqlite) => readPart(sqlite, part))),
  });

  return {
    ...reading,
    address: path,
    append: (entries) =>
      use(async () => {
        forWriting();
        // Here, so that a malformed entry fails its own caller alone.
        const plain = entries.map(plainEntry);
        return plain.length === 0 ? [] : await commits.append(plain);
      }),
    touch: () =>
      use(async () => {
        forWriting();
        await file.write(touch);
      }),
    unresolved: (isOver = () => false) =>
      use(async () => {
        const { replicas } = forWriting();
        return await file.write((sqlite) => {
          const kept = rows(sqlite, queries.keptIntentsQuery(db));
          const open = [...kept, ...rows(sqlite, queries.openIntentsQuery(db))];
          const ended = new Map(open.map((row) => [row.replica, replicas.hasEnded(row.replica)]));
          replicas.tidy();
          const isOurs = (row: (typeof open)[number]) =>
            row.replica === replica && isOver(readable(path)(row));
          return open.filter((row) => ended.get(row.replica) || isOurs(row)).map(readable(path));
        });
      }),
    exclusively: (name, work) => withLock(`${file.path}.${name}.lock`, EXCLUSIVE_PATIENCE_MS, work),
    head: () => use(() => file.read(readHead)),
    prune: (until) =>
      use(async () => {
        forWriting();
        return await pruneSqlite(file, reading.stored, until);
      }),
    takeOver: (records, base) =>
      use(async () => {
        forWriting();
        await file.write((sqlite) => takeOver(sqlite, records, base));
      }),
    keep: (records) =>
      use(async () => {
        forWriting();
        await file.write((sqlite) => keepAll(sqlite, records));
      }),
    setMoving: (what) =>
      use(async () => {
        forWriting();
        await file.write((sqlite) => sqlite.prepare('update base set moving = ?').run(what ?? null));
      }),
    writers: () => use(async () => createReplicas(file.path).running(presence === undefined ? '' : replica)),
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

/** From one look at the file, so that what another process does meanwhile is there as a whole or not at all. */
function readPart(sqlite: DatabaseSync, { from, within, limit }: Part): readonly StoredRow[] {
  sqlite.exec('begin');
  try {
    const { sequence: base } = readBase(sqlite);
    if (within && from <= base) throw because(LEFT_MEANWHILE);
    const found = rows(sqlite, queries.scanQuery(sqliteQueries, Math.max(from, base + 1), limit));
    const first = found[0]?.sequence ?? from;
    const last = found.at(-1)?.sequence ?? from;
    const sources = rows(sqlite, queries.sourcesQuery(sqliteQueries, first, last));
    if (version(sqlite) < 2)
      return provable(found, { sources, values: undefined, facets: undefined, spans: [], named: [] });
    const values = rows(sqlite, queries.valuesQuery(sqliteQueries, first, last));
    const facets = [
      ...rows(sqlite, queries.facetsQuery(sqliteQueries, reviewedIn(found))),
      ...rows(sqlite, queries.facetRunQuery(sqliteQueries, first, last)),
    ];
    const spans = rows(sqlite, queries.spansQuery(sqliteQueries, first, last));
    const names = facets.flatMap(({ review }) => (review === null ? [] : [review]));
    return provable(found, {
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
