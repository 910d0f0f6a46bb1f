import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { createAuthority } from '../../fakes/certificates.ts';
import { type ComposeServers, composeServers } from './compose.ts';
import { freePort, retryOnPortClash } from './free-port.ts';
import { assertStarting, type Guard, type GuardedProcess, startGuarded } from './guarded.ts';
import { findOrInstall, type Machine, thisMachine } from './requirements.ts';
import { BORROWED, reportToStderr, type Service, ServiceError, type StartOptions, until } from './service.ts';

/** PostgreSQL with a superuser. It syncs writes to disk like in production. */
export interface Postgres extends Service {
  /** The URL of the superuser: `postgres://user:password@host:port/postgres`. */
  readonly url: string;
  /** The certificate authority of the server. Set only with `tls`. */
  readonly caFile?: string;
  /** Kills the server without a shutdown. Unavailable for a borrowed server. */
  crash(): Promise<void>;
  /** Starts the server again with the same data and port. */
  restart(): Promise<void>;
}

export interface PostgresOptions extends StartOptions {
  /** Requires TLS on all connections. Always starts a new server. */
  tls?: boolean;
  /** Whether a running server may be used. If false, a new server always starts. */
  borrow?: boolean;
  /** The URL of a primary. The new server becomes its standby, with streaming replication. */
  standbyOf?: string;
  /** Settings for postgresql.conf. */
  settings?: Readonly<Record<string, string>>;
}

export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const borrowed =
    options.tls || options.standbyOf || options.borrow === false
      ? undefined
      : await borrowPostgres(process.env);
  if (borrowed !== undefined) return borrowed;
  const programs = await findPostgres(options.report ?? reportToStderr);
  return retryOnPortClash(() => launch(programs, options));
}

/**
 * Returns the running server at the configured address or at the address of `docker compose up`. Undefined when neither
 * answers.
 */
export async function borrowPostgres(
  env: NodeJS.ProcessEnv,
  compose: Pick<ComposeServers, 'postgres'> = composeServers(),
): Promise<Postgres | undefined> {
  const configured = env.SECRETBRIDGE_TEST_POSTGRES_URL;
  const url = configured ?? compose.postgres;
  if (await isSuperuser(url)) {
    const rejectBorrowed = () => Promise.reject(new ServiceError('A borrowed PostgreSQL cannot be stopped.'));
    return {
      name: 'PostgreSQL',
      address: new URL(url).host,
      url,
      crash: rejectBorrowed,
      restart: rejectBorrowed,
      ...BORROWED,
    };
  }
  if (configured === undefined) return undefined;
  throw new ServiceError(
    'The PostgreSQL of SECRETBRIDGE_TEST_POSTGRES_URL accepts no superuser. Check it, or unset it to start a ' +
      'new server.',
  );
}

const DEBIAN = '/usr/lib/postgresql';
/** Returns the folder of `postgres` and `initdb`. Installs missing programs for root on Debian. */
export async function findPostgres(
  report: (line: string) => void,
  machine: Machine = thisMachine,
): Promise<string> {
  return findOrInstall(
    {
      missing: 'PostgreSQL 13 or newer is missing.',
      package: 'postgresql',
      duration: 'about a minute',
      find: firstPostgres,
    },
    report,
    machine,
  );
}

async function firstPostgres(machine: Machine): Promise<string | undefined> {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : [];
  for (const folder of [...versions.map((version) => join(DEBIAN, version, 'bin')), '']) {
    const { status, output } = await machine.run(join(folder, 'postgres'), ['--version']);
    if (status === 0 && Number(/(\d+)/.exec(output)?.[1]) >= 13) return folder;
  }
  return undefined;
}

async function launch(programs: string, options: PostgresOptions): Promise<Postgres> {
  return startGuarded('postgres', async (guard) => {
    const user = await otherUser();
    const port = await freePort();
    const password = options.standbyOf
      ? new URL(options.standbyOf).password
      : randomBytes(12).toString('hex');
    const writeOwnedFile = fileWriter(guard.folder, user);
    writeOwnedFile('password', password);
    // The system user `postgres` needs access to the folder.
    chmodSync(guard.folder, 0o711);
    const data = join(guard.folder, 'data');
    mkdirSync(data, { mode: 0o700 });
    if (user !== undefined) chownSync(data, user.uid, user.gid);
    const run = (
      program: string,
      args: readonly string[],
      { name = program, ends = false }: { readonly name?: string; readonly ends?: boolean },
    ): GuardedProcess => {
      const [command, ...rest] = asPostgres(user, [join(programs, program), ...args]);
      return guard.start({ name, command, args: rest, env: { PATH: process.env.PATH, LANG: 'C' }, ends });
    };
    const [program, args]: readonly [string, readonly string[]] = options.standbyOf
      ? // The last option makes the copy a standby of the server that it was copied from.
        ['pg_basebackup', ['--pgdata', data, '--dbname', options.standbyOf, '--write-recovery-conf']]
      : [
          'initdb',
          [
            ...['--pgdata', data, '--username', 'tester', '--pwfile', join(guard.folder, 'password')],
            ...['--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', '--no-instructions'],
          ],
        ];
    await expectSuccess(run(program, args, { ends: true }));
    const caFile = options.tls ? tlsFiles(guard, writeOwnedFile) : undefined;
    if (options.tls) writeFileSync(join(data, 'pg_hba.conf'), 'hostssl all all 127.0.0.1/32 scram-sha-256\n');
    const settings: Record<string, string> = {
      listen_addresses: '127.0.0.1',
      port: String(port),
      unix_socket_directories: '',
      max_connections: '200',
      shared_buffers: '64MB',
      ...(options.tls
        ? {
            ssl: 'on',
            ssl_cert_file: join(guard.folder, 'server.crt'),
            ssl_key_file: join(guard.folder, 'server.key'),
          }
        : {}),
      ...options.settings,
    };
    const url = `postgres://tester:${password}@127.0.0.1:${port}/postgres`;
    let server: GuardedProcess;
    const start = async (): Promise<void> => {
      server = run(
        'postgres',
        ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
        { name: 'PostgreSQL' },
      );
      await until('The start of PostgreSQL', 30_000, async () => {
        await assertStarting(server);
        return isSuperuser(url, caFile);
      });
    };
    await start();
    return {
      name: 'PostgreSQL',
      address: `127.0.0.1:${port}`,
      url,
      ...(caFile === undefined ? {} : { caFile }),
      async crash() {
        const [pid] = readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n');
        process.kill(Number(pid), 'SIGQUIT');
        await server.ended;
      },
      restart: start,
    };
  });
}

interface User {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL and PgBouncer refuse to run as root. The Debian package of PostgreSQL creates a system user. */
export async function otherUser(): Promise<User | undefined> {
  if (!thisMachine.isRoot) return undefined;
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (option) => {
      const { status, output } = await thisMachine.run('id', [option, 'postgres']);
      if (status !== 0)
        throw new ServiceError('The user postgres is missing. Reinstall the PostgreSQL package.');
      return Number(output);
    }),
  );
  return { uid: uid ?? 0, gid: gid ?? 0 };
}

/** Returns the command that runs a program as the user `postgres`, or as the current user if `user` is undefined. */
export function asPostgres(
  user: User | undefined,
  [program, ...args]: readonly [string, ...string[]],
): readonly [string, ...string[]] {
  if (user === undefined) return [program, ...args];
  return ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', program, ...args];
}

function fileWriter(folder: string, user: User | undefined): (name: string, content: string) => void {
  return (name, content) => {
    const path = join(folder, name);
    writeFileSync(path, content, { mode: 0o600 });
    if (user !== undefined) chownSync(path, user.uid, user.gid);
  };
}

function tlsFiles({ folder }: Guard, write: (name: string, content: string) => void): string {
  const authority = createAuthority('PostgreSQL test');
  const { cert, key } = authority.issue({ names: ['localhost', 'audit.test'] });
  write('server.crt', cert);
  write('server.key', key);
  const caFile = join(folder, 'postgres-ca.pem');
  writeFileSync(caFile, authority.ca);
  return caFile;
}

async function expectSuccess(process: GuardedProcess): Promise<void> {
  const exit = await process.ended;
  if ('status' in exit && exit.status === 0) return;
  throw new ServiceError(`${process.name} failed.\n${(await process.output()).trimEnd()}`);
}

async function isSuperuser(url: string, caFile?: string): Promise<boolean> {
  const ssl =
    caFile === undefined ? false : { ca: readFileSync(caFile, 'utf8'), checkServerIdentity: () => undefined };
  const client = new Client({ connectionString: url, ssl, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query("select current_setting('is_superuser') = 'on' as super");
    return rows[0]?.super === true;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  } finally {
    await client.end();
  }
}
