import type { Clock } from '../../core/clock.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { GENESIS } from '../chain.ts';
import { auditUnavailable, withStoreAddress } from '../errors.ts';
import { createGroupCommit } from '../group-commit.ts';
import type { MovableAudit } from '../move/movable-audit.ts';
import type { RecordKeys } from '../record-keys.ts';
import type { AuditDatabase } from '../records/database.ts';
import { headQuery } from '../records/queries.ts';
import { createRecordStore, createStoreAccess } from '../records/record-store.ts';
import type { Sql } from '../records/sql.ts';
import { recordParser } from '../records/stored-rows.ts';
import { type PostgresTls, parseAddress, tlsOptions } from './address.ts';
import { createBackends } from './backends.ts';
import { COUNT_WRITERS, openIntents, postgresDialect, queryOf } from './database.ts';
import { createExclusiveLocks } from './locks.ts';
import { createReadPool, type ReadPool } from './pool.ts';
import { createQueryBatcher } from './query-batcher.ts';
import { checkStore } from './schema.ts';
import { type Connector, openSession, type Session } from './session.ts';
import { openWriter, type Writer } from './writer.ts';

export interface PostgresAuditOptions {
  /** Returns the URL, `postgres://user:password@host:port/database?sslmode=…`. Called for each new connection. */
  readonly url: () => Promise<SecretValue>;
  readonly tls?: PostgresTls | undefined;
  readonly instance: string;
  /** The name of this process: `<host>-<pid>-<8 hex digits>`. No other process ever has this name. */
  readonly replica: string;
  readonly clock: Clock;
  /** Signs new records. Without keys, new records have no HMAC. */
  readonly keys?: Pick<RecordKeys, 'sign'> | undefined;
  /** If true, the `select` privilege is enough, but `append` and `unresolvedIntents` fail. */
  readonly readOnly?: boolean;
  /** The longest time that a write to the cluster can take. */
  readonly maxWriteDurationMs?: number;
}

/** An API server ends a request after one minute, even if the client has disconnected. */
const MAX_WRITE_DURATION_MS = 60_000;

/**
 * The timeout of a query. With this timeout, setting up a connection and running the query take less than 15 s
 * together.
 */
const READ_MS = 11_000;

/**
 * Opens the store. Several processes can append to one chain, one batch at a time (`writer.ts`).
 * @throws AppError AUDIT_UNAVAILABLE; CONFIG_INVALID for an unusable url or `tls` file; errors of the `url` function.
 */
export async function openPostgresAudit(options: PostgresAuditOptions): Promise<MovableAudit> {
  const { url, tls, replica, readOnly = false } = options;
  const address = parseAddress(await url(), tls);
  await tlsOptions(address, tls);
  const connector = { url, tls, name: replica, readOnly: true, backends: createBackends() };
  return withStoreAddress(address.displayUrl, async () => {
    const reads = createReadPool(() => openSession(connector));
    await using stack = new AsyncDisposableStack();
    stack.use(reads);
    const writer = readOnly
      ? undefined
      : stack.use(await openWriter({ ...options, connector: { ...connector, readOnly } }));
    // A second connection shows a pooler in transaction mode, which would give it the server process of the writer.
    await reads.use(checkStore);
    stack.move();
    return createStore(options, address.displayUrl, { connector, reads, writer });
  });
}

interface Parts {
  readonly connector: Connector;
  readonly reads: ReadPool;
  readonly writer: Writer | undefined;
}

function createStore(options: PostgresAuditOptions, address: string, parts: Parts): MovableAudit {
  const { connector, reads, writer } = parts;
  const { replica, maxWriteDurationMs = MAX_WRITE_DURATION_MS } = options;
  const toRecord = recordParser(address);
  const exclusive = createExclusiveLocks(() => openSession(connector));
  const access = createStoreAccess(address, writer === undefined);
  const { use, assertWritable } = access;
  const commits = createGroupCommit(async (entries) => (await writer?.write(entries)) ?? []);
  const database = createDatabase(reads, writer, use);

  return {
    ...createRecordStore({
      access,
      database,
      async append(entries) {
        // An outcome reports a change that was already made, so it is recorded even after the lock was lost.
        if (entries.some(({ phase }) => phase !== 'outcome')) await exclusive.assertHeld();
        return await commits.append(entries);
      },
    }),
    checkWritable: () =>
      use(async () => {
        assertWritable();
        await commits.append([]);
      }),
    unresolvedIntents: (isOver = () => false) =>
      use(async () => {
        assertWritable();
        const open = await reads.use((session) => openIntents(session, maxWriteDurationMs, READ_MS));
        const isOurs = (row: (typeof open)[number]) => row.replica === replica && isOver(toRecord(row));
        return open.filter((row) => row.abandoned || isOurs(row)).map(toRecord);
      }),
    async exclusively(name, work) {
      await using lock = await use(() => exclusive.acquire(name));
      return await lock.run(work);
    },
    async head() {
      const [head] = await use(() => reads.useQuick((session) => queryOf(session, READ_MS)(headQuery)));
      return head === undefined ? GENESIS : { sequence: head.sequence, hash: head.hash };
    },
    async countWriters() {
      const [found] = (await use(() => reads.use((session) => session.query(COUNT_WRITERS)))) as readonly {
        readonly count: number;
      }[];
      return (found?.count ?? 0) - (writer === undefined ? 0 : 1);
    },
    async [Symbol.asyncDispose]() {
      if (!access.close()) return;
      await commits.settled();
      await Promise.all([reads[Symbol.asyncDispose](), writer?.[Symbol.asyncDispose]()]);
    },
  };
}

/** @param use Runs each operation. After the store was closed, it throws instead. */
function createDatabase(
  reads: ReadPool,
  writer: Writer | undefined,
  use: <T>(work: () => Promise<T>) => Promise<T>,
): AuditDatabase {
  const read = <T>(work: (session: Session) => Promise<T>): Promise<T> => use(() => reads.use(work));
  const runBatched = createQueryBatcher((statementOf) =>
    read(async (session) => {
      const { sql, parameters } = statementOf();
      return (await session.query(sql, parameters, READ_MS, true)) as readonly object[];
    }),
  );
  return {
    dialect: postgresDialect,
    query: (query) => read((session) => queryOf(session, READ_MS)(query)),
    // The type parameter of the query declares the type of its rows.
    queryBatched: async <Row>(query: Sql<Row>) => (await runBatched(query)) as readonly Row[],
    snapshot: (work) =>
      read(async (session) => {
        await session.query('begin isolation level repeatable read read only');
        try {
          return await work(queryOf(session, READ_MS));
        } finally {
          if (session.open) await session.query('rollback');
        }
      }),
    transact: (work) =>
      use(async () => {
        if (writer === undefined) throw auditUnavailable('it was opened for reading only');
        return await writer.transact(work);
      }),
  };
}
