import type { CompiledQuery } from 'kysely';
import type { Clock } from '../../core/clock.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { GENESIS } from '../chain.ts';
import { because, named } from '../failures.ts';
import { createGroupCommit } from '../group-commit.ts';
import type { MovableAudit } from '../move/moving.ts';
import { plainEntry } from '../plain-entry.ts';
import * as queries from '../records/queries.ts';
import { createReading, type Part } from '../records/reading.ts';
import { AS_IF_SCHEMA_2 } from '../records/schema-2.ts';
import { ofFingerprintAnywhere } from '../records/search.ts';
import { LEFT_MEANWHILE, provable, readable, reviewedIn, type StoredRow } from '../records/stored.ts';
import { type PostgresTls, parseAddress, tlsOptions } from './address.ts';
import { createExclusive } from './exclusive.ts';
import { replicaKey } from './locks.ts';
import { checkStore, SCHEMA_VERSION } from './migrations.ts';
import { createReadPool, type ReadPool } from './pool.ts';
import { keepAllPostgres, prunePostgres, takeOverPostgres } from './prune.ts';
import * as own from './rows.ts';
import { type Connector, openSession, type Session } from './session.ts';
import { createTogether } from './together.ts';
import { openWriter, type Writer } from './writer.ts';

export interface PostgresAuditOptions {
  /** Asked at each new connection. `postgres://user:password@host:port/database?sslmode=…` */
  readonly url: () => Promise<SecretValue>;
  readonly tls?: PostgresTls | undefined;
  readonly instance: string;
  /** Names this process, and no other that ever was: `<host>-<pid>-<8 hex>`. */
  readonly replica: string;
  readonly clock: Clock;
  /** Needs the right to `select` only; `append` and `unresolved` fail. */
  readonly readOnly?: boolean;
  /** After how long no write to the cluster can still be under way. */
  readonly writesEndWithinMs?: number;
}

/** An API server ends a request after a minute, whether its client still waits for it or not. */
const WRITES_END_WITHIN_MS = 60_000;

/** How long a question may take: less than 15 s with the time to connect. */
const READ_MS = 11_000;

/**
 * Several processes append to one chain, one batch after another (`writer.ts`).
 * @throws AppError AUDIT_UNAVAILABLE, CONFIG_INVALID for a url or a file of `tls` that cannot be used, or what
 * `url` throws.
 */
export async function openPostgresAudit(options: PostgresAuditOptions): Promise<MovableAudit> {
  const { url, tls, replica, readOnly = false } = options;
  const address = parseAddress(await url(), tls);
  await tlsOptions(address, tls);
  const connector = { url, tls, name: replica, readOnly: true };
  return named(address.shown, async () => {
    const reads = createReadPool(() => openSession(connector));
    try {
      const schema = readOnly ? await reads.use(checkStore) : SCHEMA_VERSION;
      const writer = readOnly
        ? undefined
        : await openWriter({ ...options, connector: { ...connector, readOnly } });
      return createStore(options, address.shown, { connector, reads, writer, schema });
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
  /** The schema that was found. */
  readonly schema: number;
}

function createStore(options: PostgresAuditOptions, address: string, parts: Parts): MovableAudit {
  const { connector, reads, writer, schema } = parts;
  const { replica, writesEndWithinMs = WRITES_END_WITHIN_MS } = options;
  const db = own.postgresQueries;
  const toRecord = readable(address);
  const exclusive = createExclusive(() => openSession(connector));
  let closed = false;

  function use<T>(work: () => Promise<T>): Promise<T> {
    return named(address, () => (closed ? Promise.reject(because('it is closed')) : work()));
  }

  function read<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return use(() => reads.use(work));
  }

  function forWriting(): Writer {
    if (writer === undefined) throw because('it was opened for reading only');
    return writer;
  }

  const commits = createGroupCommit((entries) => forWriting().write(entries));

  function ask<Row>(query: CompiledQuery<Row>): Promise<readonly Row[]> {
    return read((session) => own.rows(session, asked(query, schema), READ_MS));
  }

  const askOfOne = createTogether((statementOf) =>
    read(async (session) => {
      const { sql, parameters } = statementOf();
      const wanted = schema < 2 ? AS_IF_SCHEMA_2 + sql : sql;
      return (await session.query(wanted, parameters, READ_MS, true)) as readonly object[];
    }),
  );

  const reading = createReading({
    address,
    db,
    ask,
    askOfOne,
    ofFingerprint: ofFingerprintAnywhere,
    readPart: (part) => read((session) => readPart(session, part, schema)),
  });

  return {
    ...reading,
    address,
    append: (entries) =>
      use(async () => {
        forWriting();
        // Here, so that a malformed entry fails its own caller alone.
        const plain = entries.map(plainEntry);
        if (plain.length === 0) return [];
        // An outcome tells what has happened, and must be recorded whoever holds the lock now.
        if (plain.some(({ phase }) => phase !== 'outcome')) await exclusive.assertHeld();
        return await commits.append(plain);
      }),
    touch: () =>
      use(async () => {
        forWriting();
        await commits.append([]);
      }),
    unresolved: (isOver = () => false) =>
      use(async () => {
        forWriting();
        const open = await reads.use((session) => openIntents(session, writesEndWithinMs));
        const isOurs = (row: (typeof open)[number]) => row.replica === replica && isOver(toRecord(row));
        return open.filter((row) => row.abandoned || isOurs(row)).map(toRecord);
      }),
    async exclusively(name, work) {
      await using turn = await use(() => exclusive.acquire(name));
      return await turn.run(work);
    },
    async head() {
      const query = asked(queries.headQuery(db), schema);
      const [head] = await use(() => reads.glance((session) => own.rows(session, query, READ_MS)));
      return head === undefined ? GENESIS : { sequence: head.sequence, hash: head.hash };
    },
    prune: (until) => use(async () => prunePostgres(forWriting(), reading.stored, until)),
    takeOver: (records, base) => use(async () => takeOverPostgres(forWriting(), records, base)),
    keep: (records) => use(async () => keepAllPostgres(forWriting(), records)),
    setMoving: (what) =>
      use(() =>
        forWriting().change(async (session) => {
          await session.query('update base set moving = $1', [what ?? null]);
        }),
      ),
    async writers() {
      const [found] = (await read((session) => session.query(own.WRITERS))) as readonly { count: number }[];
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
 * A replica that lost its connection is not taken for an ended one in the middle of a write: without its lock,
 * an intent counts only once it is older than any write can be. A connection is made anew within seconds, and
 * what a replica that cannot reach us for longer has begun is over by then, so that looking at the cluster tells
 * the truth. A process that ends in order says so, and its intents count at once.
 */
async function openIntents(
  session: Session,
  writesEndWithinMs: number,
): Promise<readonly (own.OpenIntent & { readonly abandoned: boolean })[]> {
  const open = (await session.query(
    own.OPEN_INTENTS,
    [writesEndWithinMs],
    READ_MS,
  )) as readonly own.OpenIntent[];
  const old = open.filter((intent) => intent.old);
  const keys = [...new Set(old.map(({ replica }) => replicaKey(replica)))];
  const held = (await session.query(own.HELD_KEYS, [keys])) as readonly { readonly key: string }[];
  const alive = new Set(held.map(({ key }) => key));
  return open.map((intent) => {
    const { old: isOld, left_behind: isLeft, replica } = intent;
    return { ...intent, abandoned: isOld && (isLeft || !alive.has(replicaKey(replica))) };
  });
}

/** From one look at the store, so that what happens meanwhile is there as a whole or not at all. */
async function readPart(
  session: Session,
  { from, within, limit }: Part,
  schema: number,
): Promise<readonly StoredRow[]> {
  const db = own.postgresQueries;
  const ask = <Row>(query: CompiledQuery<Row>): Promise<readonly Row[]> =>
    own.rows(session, asked(query, schema), READ_MS);
  await session.query('begin isolation level repeatable read read only');
  try {
    const base = (await ask(queries.baseQuery(db)))[0]?.sequence ?? 0;
    if (within && from <= base) throw because(LEFT_MEANWHILE);
    const found = await ask(queries.scanQuery(db, Math.max(from, base + 1), limit));
    const first = found[0]?.sequence ?? from;
    const last = found.at(-1)?.sequence ?? from;
    const sources = await ask(queries.sourcesQuery(db, first, last));
    if (schema < 2)
      return provable(found, { sources, values: undefined, facets: undefined, spans: [], named: [] });
    const values = await ask(queries.valuesQuery(db, first, last));
    const about = reviewedIn(found);
    const facets = [
      ...(about.length === 0 ? [] : await ask(queries.facetsQuery(db, about))),
      ...(await ask(queries.facetRunQuery(db, first, last))),
    ];
    const spans = await ask(queries.spansQuery(db, first, last));
    const names = facets.flatMap(({ review }) => (review === null ? [] : [review]));
    const named = names.length === 0 ? [] : await ask(queries.recordsQuery(db, names));
    return provable(found, { sources, values, facets, spans, named });
  } finally {
    if (session.open) await session.query('rollback');
  }
}

/** Only a reader finds an older schema. */
function asked<Row>(query: CompiledQuery<Row>, schema: number): CompiledQuery<Row> {
  return schema < 2 ? { ...query, sql: AS_IF_SCHEMA_2 + query.sql } : query;
}
