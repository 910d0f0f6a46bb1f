import type { Clock } from '../core/clock.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { GENESIS } from './chain.ts';
import type { Action } from './entry.ts';
import { because, named } from './failures.ts';
import { createGroupCommit } from './group-commit.ts';
import { plainEntry } from './plain-entry.ts';
import { type PostgresTls, parseAddress, tlsOptions } from './postgres-address.ts';
import { createExclusive } from './postgres-exclusive.ts';
import { replicaKey } from './postgres-locks.ts';
import { checkStore } from './postgres-migrations.ts';
import { createReadPool, type ReadPool } from './postgres-pool.ts';
import * as own from './postgres-rows.ts';
import { type Connector, openSession, type Session } from './postgres-session.ts';
import { openWriter, type Writer } from './postgres-writer.ts';
import * as queries from './queries.ts';
import type { AuditStore, Page, RecordFilter } from './store.ts';
import { provable, readable, type StoredRow } from './stored.ts';

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

/** How many records are read at once. */
const PAGE = 500;

/**
 * Several processes append to one chain, one batch after another (`postgres-writer.ts`).
 * @throws AppError AUDIT_UNAVAILABLE, CONFIG_INVALID for a url or a file of `tls` that cannot be used, or what
 * `url` throws.
 */
export async function openPostgresAudit(options: PostgresAuditOptions): Promise<AuditStore> {
  const { url, tls, replica, readOnly = false } = options;
  const address = parseAddress(await url(), tls);
  await tlsOptions(address, tls);
  const connector = { url, tls, name: replica, readOnly: true };
  return named(address.shown, async () => {
    const reads = createReadPool(() => openSession(connector));
    try {
      if (readOnly) await reads.use(checkStore);
      const writer = readOnly
        ? undefined
        : await openWriter({ ...options, connector: { ...connector, readOnly } });
      return createStore(options, address.shown, { connector, reads, writer });
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
}

function createStore(options: PostgresAuditOptions, address: string, parts: Parts): AuditStore {
  const { connector, reads, writer } = parts;
  const { writesEndWithinMs = WRITES_END_WITHIN_MS } = options;
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

  async function list(filter: RecordFilter, page: Page, actions?: readonly Action[]) {
    const query = queries.listQuery(db, filter, page, actions);
    return (await read((session) => own.rows(session, query, READ_MS))).map(toRecord);
  }

  async function* stored(from: number): AsyncGenerator<StoredRow> {
    for (let next = from; ; ) {
      const start = next;
      const page = await read((session) => readPage(session, start));
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      next = last.sequence + 1;
    }
  }

  return {
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
    list,
    async get(sequence) {
      const [found] = await read((session) => own.rows(session, queries.recordQuery(db, sequence), READ_MS));
      return found && toRecord(found);
    },
    async *scan(from) {
      for await (const { text, hash } of stored(from)) yield toRecord({ record: text, hash });
    },
    latest: async (filter, actions) => (await list(filter, { limit: 1 }, actions))[0],
    unresolved: () =>
      use(async () => {
        forWriting();
        return (await reads.use((session) => abandoned(session, writesEndWithinMs))).map(toRecord);
      }),
    async targets() {
      const found = await read((session) => own.rows(session, queries.targetsQuery(db), READ_MS));
      return found.map(({ namespace, secret }) => ({ namespace: namespace ?? '', secret: secret ?? '' }));
    },
    async exclusively(name, work) {
      await using turn = await use(() => exclusive.acquire(name));
      return await turn.run(work);
    },
    stored,
    async head() {
      const [head] = await read((session) => own.rows(session, queries.headQuery(db), READ_MS));
      return head === undefined ? GENESIS : { sequence: head.sequence, hash: head.hash };
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
async function abandoned(session: Session, writesEndWithinMs: number): Promise<readonly own.OpenIntent[]> {
  const open = (await session.query(
    own.OPEN_INTENTS,
    [writesEndWithinMs],
    READ_MS,
  )) as readonly own.OpenIntent[];
  const old = open.filter((intent) => intent.old);
  const keys = [...new Set(old.map(({ replica }) => replicaKey(replica)))];
  const held = (await session.query(own.HELD_KEYS, [keys])) as readonly { readonly key: string }[];
  const alive = new Set(held.map(({ key }) => key));
  return old.filter(({ replica, left_behind }) => left_behind || !alive.has(replicaKey(replica)));
}

async function readPage(session: Session, from: number): Promise<readonly StoredRow[]> {
  const found = await own.rows(session, queries.scanQuery(own.postgresQueries, from, PAGE), READ_MS);
  const last = found.at(-1)?.sequence ?? from;
  const sources = await own.rows(session, queries.sourcesQuery(own.postgresQueries, from, last), READ_MS);
  return provable(found, sources);
}
