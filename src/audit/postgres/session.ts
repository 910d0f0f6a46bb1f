import { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { Client, types } from 'pg';
import { AppError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { createSerialExecutor } from '../../core/serial-executor.ts';
import { startTimer } from '../../core/timer.ts';
import { auditUnavailable } from '../errors.ts';
import { type PostgresAddress, type PostgresTls, parseAddress, tlsOptions } from './address.ts';
import { BACKEND, type Backends } from './backends.ts';
import { endsConnection, sqlState, toAuditError } from './errors.ts';

/** The schema of our tables. In a shared database, it separates them from the tables of other programs. */
export const SCHEMA_NAME = 'secretbridge';

/** One connection. Its locks and its transaction end with the connection. */
export interface Session extends AsyncDisposable {
  /**
   * Returns the rows of a statement. Without parameters, the text may contain several statements, separated by `;`.
   * Then the rows of the last one are returned. Queries run one at a time, in the order of the calls. Failures are
   * AUDIT_UNAVAILABLE. If a query times out, the connection ends, because the server may still be running the query.
   * @param isPrepared Whether the query will run often with other parameters. The server then plans it only once.
   */
  query(
    sql: string,
    parameters?: readonly unknown[],
    timeoutMs?: number,
    isPrepared?: boolean,
  ): Promise<readonly unknown[]>;
  /** Runs several statements and returns the rows of each one. */
  script(sql: string, timeoutMs?: number): Promise<readonly (readonly unknown[])[]>;
  /** Checks the value of `BACKEND` (`Backends.check`). Ends the connection if the check fails. */
  checkBackend(backend: string): void;
  readonly open: boolean;
  /** Resolves when the connection has ended, for any reason. */
  readonly ended: Promise<void>;
}

export interface Connector {
  /** Called for each connection, so that a new password takes effect without a restart. */
  readonly url: () => Promise<SecretValue>;
  readonly tls: PostgresTls | undefined;
  /** The name shown in `pg_stat_activity`. */
  readonly name: string;
  /** Makes the server refuse writes. */
  readonly readOnly: boolean;
  readonly backends: Backends;
}

const CONNECT_MS = 3_000;
const QUERY_MS = 5_000;
const CLOSE_MS = 2_000;

/**
 * How long a query plan is kept. If a plan was made for a small table, it scans the whole table. Without this limit,
 * the server would keep using this plan until it next analyzes the table, although the table may have grown by then.
 */
const PLAN_MAX_AGE_MS = 1_000;

/** The SQLSTATE for a prepared statement with a changed result type. It occurs if somebody altered the tables. */
const PLAN_CHANGED = '0A000';

/** How long a statement may wait for a lock on the server. This time is shorter than our own timeout. */
const LOCK_MS = 4_000;

/** The oldest supported server: PostgreSQL 13. Older versions no longer get security fixes. */
const OLDEST_SERVER = 130_000;

/** The type id of `bigint`. Our sequence numbers are below 2^53, so a JavaScript number can hold them. */
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
  // We create the socket, because the driver cannot end a connection that does not respond.
  const socket = new Socket();
  const client = new Client({
    host,
    port,
    database,
    user,
    // A function, because the driver would replace an empty password with one from the environment or ~/.pgpass.
    password: () => password,
    ssl: tls ?? false,
    enableChannelBinding: true,
    sslnegotiation: 'postgres', // Without this line, an environment variable decides.
    application_name: `secretbridge ${connector.name}`.slice(0, 63),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    stream: () => socket,
    types: {
      getTypeParser: (oid: number, format?: 'text' | 'binary') =>
        oid === INT8 ? Number : types.getTypeParser(oid, format as 'text'),
    },
  });
  const session = sessionOf(client, socket, connector.backends);
  try {
    await withTimeout(CONNECT_MS, () => client.connect());
  } catch (error) {
    socket.destroy();
    throw toAuditError(error);
  }
  return session;
}

/**
 * Reads the settings of a connection. The settings were valid when the store was opened, so an error is now reported as
 * AUDIT_UNAVAILABLE.
 */
async function settings({ url, tls }: Connector): Promise<Settings> {
  try {
    const address = parseAddress(await url(), tls);
    return { address, tls: await tlsOptions(address, tls) };
  } catch (error) {
    if (error instanceof AppError)
      throw auditUnavailable('its url or a file in its `tls` settings cannot be read', error);
    throw error;
  }
}

interface Settings {
  readonly address: PostgresAddress;
  readonly tls: ConnectionOptions | undefined;
}

/** The prepared statements of a connection. */
interface Plans {
  nameOf(sql: string): string;
  forgetOld(): Promise<void>;
}

function createPlans(client: Client): Plans {
  const names = new Map<string, string>();
  let plannedAt = performance.now();
  return {
    nameOf(sql) {
      const name = names.get(sql) ?? `statement ${names.size}`;
      names.set(sql, name);
      return name;
    },
    async forgetOld() {
      const now = performance.now();
      if (now - plannedAt < PLAN_MAX_AGE_MS) return;
      await client.query('discard plans');
      plannedAt = now;
    },
  };
}

function sessionOf(client: Client, socket: Socket, backends: Backends): Session {
  const ended = Promise.withResolvers<void>();
  let open = true;
  function end(): void {
    open = false;
    backends.remove(client);
    socket.destroy();
    ended.resolve();
  }
  client.on('error', end);
  client.on('end', end);

  async function run<T>(timeoutMs: number, work: () => Promise<T>): Promise<T> {
    if (!open) throw auditUnavailable('the connection was cut');
    try {
      return await withTimeout(timeoutMs, work);
    } catch (error) {
      if (endsConnection(error)) end();
      throw toAuditError(error);
    }
  }

  const plans = createPlans(client);
  /**
   * Runs the queries one at a time. The driver would also run them one at a time, but it starts a timeout when `query`
   * is called, not when the query is sent.
   */
  const inTurn = createSerialExecutor();

  return {
    query(sql, parameters = [], timeoutMs = QUERY_MS, isPrepared = false) {
      const query = {
        text: sql,
        values: [...parameters],
        ...(isPrepared ? { name: plans.nameOf(sql) } : {}),
      };
      return inTurn(async () => {
        if (!isPrepared) return (await run(timeoutMs, () => client.query(query))).rows;
        try {
          await run(timeoutMs, plans.forgetOld);
          return (await run(timeoutMs, () => client.query(query))).rows;
        } catch (error) {
          if (sqlState(error) !== PLAN_CHANGED) throw error;
          end();
          throw auditUnavailable('the tables were altered meanwhile');
        }
      });
    },
    script: (sql, timeoutMs = QUERY_MS) =>
      inTurn(async () => {
        // For several statements, the driver returns an array, although its types do not show this.
        const results: unknown = await run(timeoutMs, () => client.query(sql));
        return (Array.isArray(results) ? results : [results]).map(({ rows }) => rows as readonly unknown[]);
      }),
    checkBackend(backend) {
      const problem = backends.check(client, backend);
      if (problem === undefined) return;
      end();
      throw problem;
    },
    get open() {
      return open;
    },
    ended: ended.promise,
    async [Symbol.asyncDispose]() {
      if (open) await close(client);
      end();
    },
  };
}

async function close(client: Client): Promise<void> {
  try {
    await withTimeout(CLOSE_MS, () => client.end());
  } catch (error) {
    // The connection ends anyway, so errors of a clean close are ignored.
    if (!(error instanceof Error)) throw error;
  }
}

/**
 * Limits the time of work. The driver has its own timeouts, but reports each with a different error, and has none for
 * closing.
 */
async function withTimeout<T>(timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const cancel = startTimer(() => late.reject(auditUnavailable('the server does not answer')), timeoutMs);
  try {
    return await Promise.race([work(), late.promise]);
  } finally {
    cancel();
  }
}

/**
 * Applies the settings that our statements rely on. Uses statements for this purpose, because a connection pooler would
 * refuse unknown startup parameters. `jit` is off because compiling takes longer than our queries. Bitmap scans are off
 * because they read all records of a key or target, and most queries need only the newest one. Sequential scans are off
 * because PostgreSQL uses them before its first ANALYZE of a new log. `synchronous_commit` is raised if it is weaker.
 */
async function prepare(session: Session, readOnly: boolean): Promise<void> {
  // First remove the database's own time limit, because it would apply to the following statements too.
  const answers = await session.script(`
    set statement_timeout = 0;
    set client_encoding = 'UTF8';
    set client_min_messages = error;
    set standard_conforming_strings = on;
    set search_path = ${SCHEMA_NAME}, pg_temp;
    set default_transaction_isolation = 'read committed';
    set default_transaction_read_only = ${readOnly ? 'on' : 'off'};
    set jit = off;
    set enable_bitmapscan = off; set enable_seqscan = off;
    set lock_timeout = ${LOCK_MS};
    set idle_in_transaction_session_timeout = 5000;
    set tcp_keepalives_idle = 10;
    set tcp_keepalives_interval = 5;
    set tcp_keepalives_count = 3;
    set tcp_user_timeout = 20000;
    select set_config('synchronous_commit', 'on', false)
      where current_setting('synchronous_commit') in ('off', 'local', 'remote_write');
    select current_setting('server_version_num')::int as version, current_setting('server_encoding') as encoding,
      current_setting('fsync') as fsync, pg_is_in_recovery() as standby, ${BACKEND} as backend`);
  const [server] = (answers.at(-1) ?? []) as readonly Server[];
  if (server === undefined || server.version < OLDEST_SERVER)
    throw auditUnavailable('it needs PostgreSQL 13 or newer');
  session.checkBackend(server.backend);
  if (server.encoding !== 'UTF8') throw auditUnavailable('the encoding of the database must be UTF8');
  if (readOnly) return;
  if (server.standby) throw auditUnavailable('the server is a read-only standby');
  if (server.fsync !== 'on')
    throw auditUnavailable('the server runs with `fsync` off and may lose stored records');
}

interface Server {
  readonly version: number;
  readonly encoding: string;
  readonly fsync: string;
  readonly standby: boolean;
  readonly backend: string;
}
