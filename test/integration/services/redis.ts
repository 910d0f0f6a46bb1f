import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { type ComposeServers, composeServers } from './compose.ts';
import { freePort, retryOnPortClash } from './free-port.ts';
import { assertStarting, type Guard, type GuardedProcess, startGuarded } from './guarded.ts';
import { findOrInstall, type Machine, thisMachine } from './requirements.ts';
import { BORROWED, reportToStderr, type Service, ServiceError, type StartOptions, until } from './service.ts';

/** An in-memory Redis on a free loopback port. */
export interface RedisServer extends Service {
  readonly port: number;
  readonly pid: number;
  /** Sends one command. Returns the raw RESP 2 answer. */
  command(...words: readonly string[]): Promise<string>;
  /** Ends the server with SIGKILL. */
  kill(): Promise<void>;
  /** Starts a new server without data on the same port. */
  restart(): Promise<RedisServer>;
}

/** TLS and a password, for clients and for the connections between servers. */
export interface RedisSecurity {
  /** The paths of PEM files. The certificate must be valid for 127.0.0.1. */
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly password: string;
}

export interface RedisServerOptions extends StartOptions {
  /** More command-line arguments. */
  readonly args?: readonly string[];
  readonly port?: number;
  /** More lines for the configuration file. */
  readonly config?: readonly string[];
  readonly sentinel?: boolean;
  readonly security?: RedisSecurity | undefined;
  /** Whether the server is ready. The default check needs a connection without TLS. */
  readonly ready?: (server: Pick<RedisServer, 'port' | 'command'>) => Promise<boolean>;
}

export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const program = await findRedis(options.report ?? reportToStderr);
  if (options.port !== undefined) return launch(program, options.port, options);
  return retryOnPortClash(async () => launch(program, await freePort(), options));
}

/**
 * Returns the running server at the configured address or at the address of `docker compose up`. Undefined when neither
 * answers.
 */
export async function borrowRedis(
  env: NodeJS.ProcessEnv,
  compose: Pick<ComposeServers, 'redis'> = composeServers(),
): Promise<Service | undefined> {
  const configured = env.SECRETBRIDGE_TEST_REDIS_URL;
  const address = configured ?? compose.redis;
  if (await acceptsLogin(new URL(address))) {
    return { name: 'Redis', address, ...BORROWED };
  }
  if (configured === undefined) return undefined;
  throw new ServiceError(
    'The Redis of SECRETBRIDGE_TEST_REDIS_URL does not let us in (redis://:PASSWORD@HOST:PORT). Check it, or unset it ' +
      'to start a new server.',
  );
}

/**
 * Whether the server at the URL accepts the login of the URL. Returns false for a server that requires no password:
 * `AUTH` with one argument is an error there.
 */
async function acceptsLogin({ protocol, hostname, port, username, password }: URL): Promise<boolean> {
  if (protocol !== 'redis:') return false;
  const login = [username, password].filter((word) => word !== '').map(decodeURIComponent);
  const commands = [...(login.length === 0 ? [] : [['AUTH', ...login]]), ['PING']];
  const answer = await sendCommands({ host: hostname, port: Number(port || 6379) }, commands).catch(codeOf);
  return answer === `${'+OK\r\n'.repeat(commands.length - 1)}+PONG\r\n`;
}

/** Returns the command of Redis or Valkey. Installs a missing Redis for root on Debian. */
export async function findRedis(
  report: (line: string) => void,
  machine: Machine = thisMachine,
): Promise<string> {
  return findOrInstall(
    { missing: 'Redis is missing.', package: 'redis-server', duration: 'a few seconds', find: firstRedis },
    report,
    machine,
  );
}

async function firstRedis(machine: Machine): Promise<string | undefined> {
  for (const command of ['redis-server', '/usr/bin/redis-server', 'valkey-server'])
    if ((await machine.run(command, ['--version'])).status === 0) return command;
  return undefined;
}

async function launch(program: string, port: number, options: RedisServerOptions): Promise<RedisServer> {
  return startGuarded('redis', async (guard) => {
    const process = await spawn(guard, program, port, options);
    const { security } = options;
    const command = (...words: readonly string[]): Promise<string> => sendCommand(port, words, security);
    const ready = options.ready ?? answersPing;
    await until('The start of Redis', 20_000, async () => {
      await assertStarting(process);
      return ready({ port, command });
    });
    const pidFile = join(guard.folder, 'redis.pid');
    await until('The process id of Redis', 5_000, async () => existsSync(pidFile));
    const pid = Number((await readFile(pidFile, 'utf8')).trim());
    return {
      name: 'Redis',
      address: `redis://127.0.0.1:${port}`,
      ...{ port, pid, command },
      async kill() {
        globalThis.process.kill(pid, 'SIGKILL');
        await process.ended;
      },
      async restart() {
        await guard.close();
        return launch(program, port, options);
      },
    };
  });
}

async function spawn(
  guard: Guard,
  program: string,
  port: number,
  { args = [], config = [], sentinel = false, security }: RedisServerOptions,
): Promise<GuardedProcess> {
  const file = join(guard.folder, 'redis.conf');
  const plain = sentinel ? [] : ['save ""', 'appendonly no'];
  const lines = [
    ...(security === undefined ? [`port ${port}`] : securityConfig(port, security)),
    ...['bind 127.0.0.1', `dir ${guard.folder}`, `pidfile ${guard.folder}/redis.pid`],
    ...[...plain, 'daemonize no', ...config],
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  return guard.start({
    name: 'Redis',
    command: program,
    args: [file, ...args, ...(sentinel ? ['--sentinel'] : [])],
    env: { HOME: guard.folder, PATH: globalThis.process.env.PATH },
  });
}

function securityConfig(port: number, { caFile, certFile, keyFile, password }: RedisSecurity) {
  return [
    ...['port 0', `tls-port ${port}`, `tls-cert-file ${certFile}`, `tls-key-file ${keyFile}`],
    ...[`tls-ca-cert-file ${caFile}`, 'tls-auth-clients no', 'tls-replication yes', 'tls-cluster yes'],
    ...[`requirepass ${password}`, `masterauth ${password}`],
  ];
}

async function answersPing({ command }: Pick<RedisServer, 'command'>): Promise<boolean> {
  const answer = await command('PING').catch(codeOf);
  return answer.startsWith('+PONG') || answer.startsWith('-NOAUTH');
}

/** Returns the error code of a failed connection. */
function codeOf(error: NodeJS.ErrnoException): string {
  return error.code ?? 'unknown';
}

async function sendCommand(
  port: number,
  words: readonly string[],
  security: RedisSecurity | undefined,
): Promise<string> {
  const server = { host: '127.0.0.1', port };
  if (security === undefined) return sendCommands(server, [words]);
  const ca = await readFile(security.caFile, 'utf8');
  const answer = await sendCommands({ ...server, ca }, [['AUTH', security.password], words]);
  return answer.replace('+OK\r\n', '');
}

function sendCommands(
  server: { readonly host: string; readonly port: number; readonly ca?: string },
  commands: readonly (readonly string[])[],
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = server.ca === undefined ? createConnection(server) : connect(server);
    socket.setTimeout(5_000, () => socket.destroy(new Error('Redis does not answer')));
    let text = '';
    socket.setEncoding('utf8');
    socket.on(server.ca === undefined ? 'connect' : 'secureConnect', () => {
      const lines = commands.map(
        (words) =>
          `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`,
      );
      // Do not send QUIT, because a sentinel does not support QUIT. Redis answers the commands before it sees the end
      // of our stream, and then closes the connection. The answer is therefore complete.
      socket.end(lines.join(''));
    });
    socket.on('data', (data: string) => {
      text += data;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}
