import { chmodSync, chownSync, cpSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { unpackDebian } from './debian.ts';
import { freePort, retryOnPortClash } from './free-port.ts';
import { assertStarting, startGuarded } from './guarded.ts';
import { asPostgres, otherUser } from './postgres.ts';
import { type Service, until } from './service.ts';

/** PgBouncer in front of a PostgreSQL server. */
export interface PgBouncer extends Service {
  /** The URL of the server, with the address of PgBouncer. */
  readonly url: string;
}

export type PoolMode = 'session' | 'transaction';

/** Returns the folder of PgBouncer and of the libraries that it needs. Undefined on a system without apt-get. */
export function findPgBouncer(): Promise<string | undefined> {
  const packages = ['pgbouncer', 'libc-ares2', 'libevent-2.1-7'];
  return unpackDebian('pgbouncer', { packages, size: '500 KB' });
}

/** @param files The folder that `findPgBouncer` returns. */
export function startPgBouncer(files: string, serverUrl: string, mode: PoolMode): Promise<PgBouncer> {
  const server = new URL(serverUrl);
  return retryOnPortClash(() =>
    startGuarded('pgbouncer', async (guard) => {
      const port = await freePort();
      const user = await otherUser();
      const path = (name: string): string => join(guard.folder, name);
      const write = (name: string, lines: readonly string[]): void => {
        writeFileSync(path(name), `${lines.join('\n')}\n`, { mode: 0o600 });
        if (user !== undefined) chownSync(path(name), user.uid, user.gid);
      };
      // PgBouncer runs as another user, who cannot read the cache.
      chmodSync(guard.folder, 0o711);
      cpSync(join(files, 'usr'), path('usr'), { recursive: true, verbatimSymlinks: true });
      const libraries = readdirSync(path('usr/lib')).map((folder) => path(`usr/lib/${folder}`));
      write('users.txt', [`"${server.username}" "${server.password}"`]);
      write('pgbouncer.ini', [
        ...['[databases]', `* = host=${server.hostname} port=${server.port}`, '[pgbouncer]'],
        ...['listen_addr = 127.0.0.1', `listen_port = ${port}`, 'unix_socket_dir ='],
        ...['auth_type = scram-sha-256', `auth_file = ${path('users.txt')}`],
        ...[`pool_mode = ${mode}`, 'default_pool_size = 40', 'max_client_conn = 200'],
      ]);
      const [command, ...args] = asPostgres(user, [path('usr/sbin/pgbouncer'), path('pgbouncer.ini')]);
      const process = guard.start({
        ...{ name: 'PgBouncer', command, args },
        env: { LD_LIBRARY_PATH: libraries.join(':') },
      });
      const url = new URL(serverUrl);
      url.port = String(port);
      await until('The start of PgBouncer', 20_000, async () => {
        await assertStarting(process);
        return answers(url.href);
      });
      return { name: 'PgBouncer', address: url.host, url: url.href };
    }),
  );
}

async function answers(connectionString: string): Promise<boolean> {
  const client = new Client({ connectionString, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    return true;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  } finally {
    await client.end();
  }
}
