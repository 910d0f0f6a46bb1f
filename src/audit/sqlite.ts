import { resolve } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../core/clock.ts';
import type { Action } from './entry.ts';
import { because, named } from './failures.ts';
import { createGroupCommit } from './group-commit.ts';
import { plainEntry } from './plain-entry.ts';
import * as queries from './queries.ts';
import { createReplicas, type Replicas } from './replicas.ts';
import { openReader, openWriter, type SqliteFile } from './sqlite-file.ts';
import { withLock } from './sqlite-lock.ts';
import { prepareWriter, type RecordWriter, readHead, rows, sqliteQueries } from './sqlite-rows.ts';
import type { AuditStore, Page, RecordFilter } from './store.ts';
import { provable, readable, type StoredRow } from './stored.ts';

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

/** How many records are read at once: between two pages others get their turn. */
const PAGE = 500;

/** Several processes may use one file: they wait for each other, and the chain stays one. */
export async function openSqliteAudit(options: SqliteAuditOptions): Promise<AuditStore> {
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
): AuditStore {
  const { path, instance, replica, clock } = options;
  const db = sqliteQueries;
  let writer: RecordWriter | undefined;
  let closed = false;

  function use<T>(work: () => Promise<T>): Promise<T> {
    return named(path, () => (closed ? Promise.reject(because('it is closed')) : work()));
  }

  const commits = createGroupCommit((entries) =>
    file.write((sqlite) => {
      writer ??= prepareWriter(sqlite);
      return writer(entries, { time: new Date(clock.now()).toISOString(), instance, replica });
    }),
  );

  async function list(filter: RecordFilter, page: Page, actions?: readonly Action[]) {
    const query = queries.listQuery(db, filter, page, actions);
    return (await use(() => file.read((sqlite) => rows(sqlite, query)))).map(readable(path));
  }

  async function* stored(from: number): AsyncGenerator<StoredRow> {
    for (let next = from; ; ) {
      const start = next;
      const page = await use(() => file.read((sqlite) => readPage(sqlite, start)));
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      next = last.sequence + 1;
    }
  }

  return {
    address: path,
    append: (entries) =>
      use(async () => {
        if (presence === undefined) throw because('it was opened for reading only');
        // Here, so that a malformed entry fails its own caller alone.
        const plain = entries.map(plainEntry);
        return plain.length === 0 ? [] : await commits.append(plain);
      }),
    list,
    async get(sequence) {
      const query = queries.recordQuery(db, sequence);
      const [found] = await use(() => file.read((sqlite) => rows(sqlite, query)));
      return found && readable(path)(found);
    },
    async *scan(from) {
      for await (const { text, hash } of stored(from)) yield readable(path)({ record: text, hash });
    },
    latest: async (filter, actions) => (await list(filter, { limit: 1 }, actions))[0],
    unresolved: () =>
      use(async () => {
        if (presence === undefined) throw because('it was opened for reading only');
        const { replicas } = presence;
        return await file.write((sqlite) => {
          const open = rows(sqlite, queries.openIntentsQuery(db));
          const ended = new Map(open.map((row) => [row.replica, replicas.hasEnded(row.replica)]));
          replicas.tidy();
          return open.filter((row) => ended.get(row.replica)).map(readable(path));
        });
      }),
    async targets() {
      const found = await use(() => file.read((sqlite) => rows(sqlite, queries.targetsQuery(db))));
      return found.map(({ namespace, secret }) => ({ namespace: namespace ?? '', secret: secret ?? '' }));
    },
    exclusively: (name, work) => withLock(`${resolve(path)}.${name}.lock`, EXCLUSIVE_PATIENCE_MS, work),
    stored,
    head: () => use(() => file.read(readHead)),
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

function readPage(sqlite: DatabaseSync, from: number): readonly StoredRow[] {
  const found = rows(sqlite, queries.scanQuery(sqliteQueries, from, PAGE));
  const last = found.at(-1)?.sequence ?? from;
  const sources = rows(sqlite, queries.sourcesQuery(sqliteQueries, from, last));
  return provable(found, sources);
}
