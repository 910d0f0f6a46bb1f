import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionOptions } from 'node:tls';
import { Client, types } from 'pg';
import { AppError } from '../../core/errors.ts';
import { createInTurn } from '../../core/in-turn.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { because } from '../failures.ts';
import { type PostgresAddress, type PostgresTls, parseAddress, tlsOptions } from './address.ts';
import { endsConnection, sqlState, unavailable } from './errors.ts';

/** Of its own, so that our tables are in nobody's way in a shared database. */
export const SCHEMA_NAME = 'secretbridge';

/** One connection. Everything that belongs to it on the server (locks, a transaction) ends with it. */
export interface Session extends AsyncDisposable {
  /**
   * The rows of the last statement; several without parameters are separated by `;`. One at a time, in the order
   * of the calls. Failures are AUDIT_UNAVAILABLE, and one without an answer in time ends the connection: nobody
   * could tell what the server does with it still.
   * @param isKept It will be asked again with other parameters: the server plans it once.
   */
  query(
    sql: string,
    parameters?: readonly unknown[],
    timeoutMs?: number,
    isKept?: boolean,
  ): Promise<readonly unknown[]>;
  /** The same, with the rows of each statement. */
  script(sql: string, timeoutMs?: number): Promise<readonly (readonly unknown[])[]>;
  readonly open: boolean;
  /** Resolves when the connection is no more, for whatever reason. */
  readonly ended: Promise<void>;
}

export interface Connector {
  /** Asked at each connection, so that a new password is used without a restart. */
  readonly url: () => Promise<SecretValue>;
  readonly tls: PostgresTls | undefined;
  /** Shown in `pg_stat_activity`. */
  readonly name: string;
  /** Refuses to write, by the server itself. */
  readonly readOnly: boolean;
}

const CONNECT_MS = 3_000;
const QUERY_MS = 5_000;
const CLOSE_MS = 2_000;

/** The plan for a small table reads all of it, and the server keeps it until it counts the table again: that may have grown. */
const PLANS_MS = 1_000;

/** What a statement gives that is kept has another type now, since somebody changed the tables. */
const CHANGED = '0A000';

/** How long the server lets a statement wait for a lock: less than we wait for its answer. */
const LOCK_MS = 4_000;

/** PostgreSQL 13: older ones have no security fixes any more. */
const OLDEST_SERVER = 130_000;

/** Sequences are below 2^53, so that `bigint` need not be text. */
const INT8 = 20;

export async function openSession(connector: Connector): Promise<Session> {
  const session = await connect(connector);
  try {
    await prepare(session, connector.readOnly);
    return session;
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}

async function connect(connector: Connector): Promise<Session> {
  const { address, tls } = await settings(connector);
  const { host, port, database, user, password } = address;
  // Ours, since the driver offers no way to end a connection on which nothing comes back.
  const socket = new Socket();
  const client = new Client({
    host,
    port,
    database,
    user,
    // A function, so that an empty one is not looked for in the environment and in ~/.pgpass.
    password: () => password,
    ssl: tls ?? false,
    enableChannelBinding: true,
    sslnegotiation: 'postgres', // or the environment decides
    application_name: `secretbridge ${connector.name}`.slice(0, 63),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    stream: () => socket,
    types: {
      getTypeParser: (oid: number, format?: 'text' | 'binary') =>
        oid === INT8 ? Number : types.getTypeParser(oid, format as 'text'),
    },
  });
  const session = sessionOf(client, socket);
  try {
    await within(CONNECT_MS, () => client.connect());
  } catch (error) {
    socket.destroy();
    throw unavailable(error);
  }
  return session;
}

/** They were right once, when the store was opened. */
async function settings({ url, tls }: Connector): Promise<Settings> {
  try {
    const address = parseAddress(await url(), tls);
    return { address, tls: await tlsOptions(address, tls) };
  } catch (error) {
    if (error instanceof AppError) throw because('its url or a file of its `tls` cannot be read', error);
    throw error;
  }
}

interface Settings {
  readonly address: PostgresAddress;
  readonly tls: ConnectionOptions | undefined;
}

function sessionOf(client: Client, socket: Socket): Session {
  const ended = Promise.withResolvers<void>();
  let open = true;
  function end(): void {
    open = false;
    socket.destroy();
    ended.resolve();
  }
  client.on('error', end);
  client.on('end', end);

  async function run<T>(timeoutMs: number, work: () => Promise<T>): Promise<T> {
    if (!open) throw because('the connection was cut');
    try {
      return await within(timeoutMs, work);
    } catch (error) {
      if (endsConnection(error)) end();
      throw unavailable(error);
    }
  }

  /** By which the server knows a statement of this connection again. */
  const names = new Map<string, string>();
  function nameOf(sql: string): string {
    const name = names.get(sql) ?? `question ${names.size}`;
    names.set(sql, name);
    return name;
  }

  let plannedAt = performance.now();
  async function forgetOldPlans(): Promise<void> {
    const now = performance.now();
    if (now - plannedAt < PLANS_MS) return;
    await client.query('discard plans');
    plannedAt = now;
  }

  /** The driver would send them in their order as well, but count the time from the call on. */
  const inTurn = createInTurn();

  return {
    query(sql, parameters = [], timeoutMs = QUERY_MS, isKept = false) {
      const question = { text: sql, values: [...parameters], ...(isKept ? { name: nameOf(sql) } : {}) };
      return inTurn(async () => {
        if (!isKept) return (await run(timeoutMs, () => client.query(question))).rows;
        try {
          await run(timeoutMs, forgetOldPlans);
          return (await run(timeoutMs, () => client.query(question))).rows;
        } catch (error) {
          if (sqlState(error) !== CHANGED) throw error;
          end();
          throw because('the tables were changed meanwhile');
        }
      });
    },
    script: (sql, timeoutMs = QUERY_MS) =>
      inTurn(async () => {
        // The driver gives a list when there is more than one statement, which its types do not say.
        const results: unknown = await run(timeoutMs, () => client.query(sql));
        return (Array.isArray(results) ? results : [results]).map(({ rows }) => rows as readonly unknown[]);
      }),
    get open() {
      return open;
    },
    ended: ended.promise,
    async [Symbol.asyncDispose]() {
      if (!open) return;
      try {
        await within(CLOSE_MS, () => client.end());
      } catch (error) {
        // Nothing hangs on the server's goodbye.
        if (!(error instanceof Error)) throw error;
      } finally {
        end();
      }
    },
  };
}

/** The driver has limits of its own, but says with each of them something else, and none when it closes. */
async function within<T>(timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const answered = new AbortController();
  try {
    return await Promise.race([work(), noAnswer(timeoutMs, answered.signal)]);
  } finally {
    answered.abort();
  }
}

async function noAnswer(timeoutMs: number, signal: AbortSignal): Promise<never> {
  await sleep(timeoutMs, undefined, { signal });
  throw because('the server does not answer');
}

/**
 * What our statements take for granted. As statements and not in the first message, which a pooler between us
 * would refuse. Compiling a question (`jit`) takes longer than our questions do. A durable commit that is weaker than `on` is made stronger, and one that is stronger stays.
 */
async function prepare(session: Session, readOnly: boolean): Promise<void> {
  // First the time limit of the database, which counts for the rest as well.
  const answers = await session.script(`
    set statement_timeout = 0;
    set client_encoding = 'UTF8';
    set client_min_messages = error;
    set standard_conforming_strings = on;
    set search_path = ${SCHEMA_NAME}, pg_temp;
    set default_transaction_isolation = 'read committed';
    set default_transaction_read_only = ${readOnly ? 'on' : 'off'};
    set jit = off;
    set lock_timeout = ${LOCK_MS};
    set idle_in_transaction_session_timeout = 5000;
    set tcp_keepalives_idle = 10;
    set tcp_keepalives_interval = 5;
    set tcp_keepalives_count = 3;
    set tcp_user_timeout = 20000;
    select set_config('synchronous_commit', 'on', false)
      where current_setting('synchronous_commit') in ('off', 'local', 'remote_write');
    select current_setting('server_version_num')::int as version, current_setting('server_encoding') as encoding,
      current_setting('fsync') as fsync, pg_is_in_recovery() as standby`);
  const [found] = (answers.at(-1) ?? []) as readonly Server[];
  if (found === undefined || found.version < OLDEST_SERVER) throw because('it needs PostgreSQL 13 or newer');
  if (found.encoding !== 'UTF8') throw because('the encoding of the database must be UTF8');
  if (readOnly) return;
  if (found.standby) throw because('the server is a standby, which cannot be written to');
  if (found.fsync !== 'on')
    throw because('the server runs with `fsync` off, so that it may lose what it stored');
}

interface Server {
  readonly version: number;
  readonly encoding: string;
  readonly fsync: string;
  readonly standby: boolean;
}
