import type { CompiledQuery } from 'kysely';
import type { Clock } from '../../core/clock.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { GENESIS } from '../chain.ts';
import { auditUnavailable, withStoreAddress } from '../errors.ts';
import { createGroupCommit } from '../group-commit.ts';
import type { MovableAudit } from '../move/movable-audit.ts';
import * as queries from '../records/queries.ts';
import { type Chunk, createRecordReader } from '../records/record-reader.ts';
import { SCHEMA_2_PREFIX } from '../records/schema-2.ts';
import { indexedFingerprintQuery } from '../records/search.ts';
import {
  checkSearchRows,
  PRUNED_DURING_READ,
  recordParser,
  reviewedSequences,
  type StoredRow,
} from '../records/stored-rows.ts';
import { sanitizeEntry } from '../sanitize-entry.ts';
import { type PostgresTls, parseAddress, tlsOptions } from './address.ts';
import { createExclusiveLocks } from './exclusive-locks.ts';
import { replicaKey } from './locks.ts';
import { checkStore, SCHEMA_VERSION } from './migrations.ts';
import { createReadPool, type ReadPool } from './pool.ts';
import { importRecordsPostgres, importRetainedPostgres, prunePostgres } from './prune.ts';
import { createQueryBatcher } from './query-batcher.ts';
import * as postgresRows from './rows.ts';
import { type Connector, openSession, type Session } from './session.ts';
import { openWriter, type Writer } from './writer.ts';

export interface PostgresAuditOptions {
  /** Returns the URL, `postgres://user:password@host:port/database?sslmode=…`. Called for each new connection. */
  readonly url: () => Promise<SecretValue>;
  readonly tls?: PostgresTls | undefined;
  readonly instance: string;
  /** The name of this process, never reused: `<host>-<pid>-<8 hex>`. */
  readonly replica: string;
  readonly clock: Clock;
  /** Requires only the `select` privilege. `append` and `unresolvedIntents` then fail. */
  readonly readOnly?: boolean;
  /** The longest time that a write to the cluster can take. */
  readonly maxWriteDurationMs?: number;
}

/** An API server ends a request after one minute, even if the client has disconnected. */
const MAX_WRITE_DURATION_MS = 60_000;

/** The timeout of a query. Query and connection setup together take less than 15 s. */
const READ_MS = 11_000;

/**
 * Opens the store. Several processes can append to one chain, one batch at a time (`writer.ts`).
 * @throws AppError AUDIT_UNAVAILABLE; CONFIG_INVALID for an unusable url or `tls` file; errors of the `url` function.
 */
export async function openPostgresAudit(options: PostgresAuditOptions): Promise<MovableAudit> {
  const { url, tls, replica, readOnly = false } = options;
  const address = parseAddress(await url(), tls);
  await tlsOptions(address, tls);
  const connector = { url, tls, name: replica, readOnly: true };
  return withStoreAddress(address.displayUrl, async () => {
    const reads = createReadPool(() => openSession(connector));
    try {
      const schema = readOnly ? await reads.use(checkStore) : SCHEMA_VERSION;
      const writer = readOnly
        ? undefined
        : await openWriter({ ...options, connector: { ...connector, readOnly } });
      return createStore(options, address.displayUrl, { connector, reads, writer, schema });
    } catch (error) {
      await reads[Symbol.asyncDispose]();
      throw error;
    }
  });
}

interface Parts {
  readonly connector: Connector;
  readonly reads: ReadPool;
  readonly writer: Writer | undefined;
  /** The schema version of the store. */
  readonly schema: number;
}

function createStore(options: PostgresAuditOptions, address: string, parts: Parts): MovableAudit {
  const { connector, reads, writer, schema } = parts;
  const { replica, maxWriteDurationMs = MAX_WRITE_DURATION_MS } = options;
  const db = postgresRows.postgresQueries;
  const toRecord = recordParser(address);
  const exclusive = createExclusiveLocks(() => openSession(connector));
  let closed = false;

  function use<T>(work: () => Promise<T>): Promise<T> {
    return withStoreAddress(address, () =>
      closed ? Promise.reject(auditUnavailable('it is closed')) : work(),
    );
  }

  function read<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return use(() => reads.use(work));
  }

  function requireWriter(): Writer {
    if (writer === undefined) throw auditUnavailable('it was opened for reading only');
    return writer;
  }

  const commits = createGroupCommit((entries) => requireWriter().write(entries));

  function ask<Row>(query: CompiledQuery<Row>): Promise<readonly Row[]> {
    return read((session) => postgresRows.rows(session, forSchema(query, schema), READ_MS));
  }

  const askOfOne = createQueryBatcher((statementOf) =>
    read(async (session) => {
      const { sql, parameters } = statementOf();
      const prefixed = schema < 2 ? SCHEMA_2_PREFIX + sql : sql;
      return (await session.query(prefixed, parameters, READ_MS, true)) as readonly object[];
    }),
  );

  const reader = createRecordReader({
    address,
    db,
    runQuery: ask,
    runTemplate: askOfOne,
    fingerprintQuery: indexedFingerprintQuery,
    readChunk: (part) => read((session) => scanChunk(session, part, schema)),
  });

  return {
    ...reader,
    address,
    append: (entries) =>
      use(async () => {
        requireWriter();
        // Sanitize before batching, so that a malformed entry fails only its own caller.
        const plain = entries.map(sanitizeEntry);
        if (plain.length === 0) return [];
        // An outcome reports a change that was already made, so it is recorded even after the lock was lost.
        if (plain.some(({ phase }) => phase !== 'outcome')) await exclusive.assertHeld();
        return await commits.append(plain);
      }),
    checkWritable: () =>
      use(async () => {
        requireWriter();
        await commits.append([]);
      }),
    unresolvedIntents: (isOver = () => false) =>
      use(async () => {
        requireWriter();
        const open = await reads.use((session) => openIntents(session, maxWriteDurationMs));
        const isOurs = (row: (typeof open)[number]) => row.replica === replica && isOver(toRecord(row));
        return open.filter((row) => row.abandoned || isOurs(row)).map(toRecord);
      }),
    async exclusively(name, work) {
      await using lock = await use(() => exclusive.acquire(name));
      return await lock.run(work);
    },
    async head() {
      const query = forSchema(queries.headQuery(db), schema);
      const [head] = await use(() => reads.useQuick((session) => postgresRows.rows(session, query, READ_MS)));
      return head === undefined ? GENESIS : { sequence: head.sequence, hash: head.hash };
    },
    prune: (until) => use(async () => prunePostgres(requireWriter(), reader.storedRecords, until)),
    importRecords: (records, base) => use(async () => importRecordsPostgres(requireWriter(), records, base)),
    importRetained: (records) => use(async () => importRetainedPostgres(requireWriter(), records)),
    setMoveSource: (what) =>
      use(() =>
        requireWriter().transact(async (session) => {
          await session.query('update base set moving = $1', [what ?? null]);
        }),
      ),
    async countWriters() {
      const [found] = (await read((session) => session.query(postgresRows.COUNT_WRITERS))) as readonly {
        count: number;
      }[];
      return (found?.count ?? 0) - (writer === undefined ? 0 : 1);
    },
    async [Symbol.asyncDispose]() {
      if (closed) return;
      closed = true;
      await commits.settled();
      await Promise.all([reads[Symbol.asyncDispose](), writer?.[Symbol.asyncDispose]()]);
    },
  };
}

/**
 * Finds the intents without an outcome, and whether their replicas have ended. A replica may lose its connection, and
 * so its lock, during a write. Its intents therefore count as abandoned only when they are older than the longest
 * possible write. After that time the write is over, and the cluster shows its result. A replica that shuts down
 * cleanly marks its intents, and these count as abandoned at once.
 */
async function openIntents(
  session: Session,
  writesEndWithinMs: number,
): Promise<readonly (postgresRows.OpenIntent & { readonly abandoned: boolean })[]> {
  const open = (await session.query(
    postgresRows.OPEN_INTENTS,
    [writesEndWithinMs],
    READ_MS,
  )) as readonly postgresRows.OpenIntent[];
  const old = open.filter((intent) => intent.old);
  const keys = [...new Set(old.map(({ replica }) => replicaKey(replica)))];
  const held = (await session.query(postgresRows.HELD_KEYS, [keys])) as readonly { readonly key: string }[];
  const alive = new Set(held.map(({ key }) => key));
  return open.map((intent) => {
    const { old: isOld, left_behind: isAbandoned, replica } = intent;
    return { ...intent, abandoned: isOld && (isAbandoned || !alive.has(replicaKey(replica))) };
  });
}

/** Reads in one snapshot, so that each concurrent change is visible completely or not at all. */
async function scanChunk(
  session: Session,
  { from, isContinuation, limit }: Chunk,
  schema: number,
): Promise<readonly StoredRow[]> {
  const db = postgresRows.postgresQueries;
  const ask = <Row>(query: CompiledQuery<Row>): Promise<readonly Row[]> =>
    postgresRows.rows(session, forSchema(query, schema), READ_MS);
  await session.query('begin isolation level repeatable read read only');
  try {
    const base = (await ask(queries.baseQuery(db)))[0]?.sequence ?? 0;
    if (isContinuation && from <= base) throw auditUnavailable(PRUNED_DURING_READ);
    const recordRows = await ask(queries.scanQuery(db, Math.max(from, base + 1), limit));
    const first = recordRows[0]?.sequence ?? from;
    const last = recordRows.at(-1)?.sequence ?? from;
    const sources = await ask(queries.sourcesQuery(db, first, last));
    if (schema < 2)
      return checkSearchRows(recordRows, {
        sources,
        values: undefined,
        facets: undefined,
        spans: [],
        named: [],
      });
    const values = await ask(queries.valuesQuery(db, first, last));
    const about = reviewedSequences(recordRows);
    const facets = [
      ...(about.length === 0 ? [] : await ask(queries.facetsQuery(db, about))),
      ...(await ask(queries.facetRangeQuery(db, first, last))),
    ];
    const spans = await ask(queries.spansQuery(db, first, last));
    const names = facets.flatMap(({ review }) => (review === null ? [] : [review]));
    const named = names.length === 0 ? [] : await ask(queries.recordsQuery(db, names));
    return checkSearchRows(recordRows, { sources, values, facets, spans, named });
  } finally {
    if (session.open) await session.query('rollback');
  }
}

/** Only readers can encounter an older schema, because writers migrate the store. */
function forSchema<Row>(query: CompiledQuery<Row>, schema: number): CompiledQuery<Row> {
  return schema < 2 ? { ...query, sql: SCHEMA_2_PREFIX + query.sql } : query;
}
