import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { type ComposeServers, composeServers } from './compose.ts';
import { freePort, retryOnPortClash } from './free-port.ts';
import { assertStarting, type Guard, type GuardedProcess, startGuarded } from './guarded.ts';
import { type Machine, need, thisMachine } from './requirements.ts';
import { BORROWED, reportToStderr, type Service, ServiceError, type StartOptions, until } from './service.ts';

/** A Redis in memory, on a free port of loopback, without persistence. */
export interface RedisServer extends Service {
  readonly port: number;
  readonly pid: number;
  /** One command, and its answer as Redis writes it (RESP 2). */
  command(...words: readonly string[]): Promise<string>;
  /** As kill -9. */
  kill(): Promise<void>;
  /** Another one on the same port, empty. */
  restart(): Promise<RedisServer>;
}

export interface RedisServerOptions extends StartOptions {
  /** More of its command line. */
  readonly args?: readonly string[];
  readonly port?: number;
  /** Lines of its configuration file, for what the command line cannot say. */
  readonly config?: readonly string[];
  readonly sentinel?: boolean;
  /** Says yes when it serves, with a connection that is not TLS and has no password. */
  readonly ready?: (server: Pick<RedisServer, 'port' | 'command'>) => Promise<boolean>;
}

export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const program = await findRedis(options.report ?? reportToStderr);
  if (options.port !== undefined) return launch(program, options.port, options);
  return retryOnPortClash(async () => launch(program, await freePort(), options));
}

/** What already answers: at the configured address, or where `docker compose up` puts it. */
export async function borrowRedis(
  env: NodeJS.ProcessEnv,
  compose: Pick<ComposeServers, 'redis'> = composeServers(),
): Promise<Service | undefined> {
  const configured = env.SECRETBRIDGE_TEST_REDIS_URL;
  const address = configured ?? compose.redis;
  if (await isOpenTo(new URL(address))) {
    return { name: 'Redis', address, ...BORROWED };
  }
  if (configured === undefined) return undefined;
  throw new ServiceError(
    'The Redis of SECRETBRIDGE_TEST_REDIS_URL does not let us in (redis://:PASSWORD@HOST:PORT). Check it, or unset it ' +
      'to have a server started.',
  );
}

/**
 * With a password in the address, only a server that asks for that one is it. A Redis without any refuses `AUTH` with
 * one word, and would take every password after a user's name.
 */
async function isOpenTo({ protocol, hostname, port, username, password }: URL): Promise<boolean> {
  if (protocol !== 'redis:') return false;
  const login = [username, password].filter((word) => word !== '').map(decodeURIComponent);
  const commands = [...(login.length === 0 ? [] : [['AUTH', ...login]]), ['PING']];
  const answer = await askAll({ host: hostname, port: Number(port || 6379) }, commands).catch(codeOf);
  return answer === `${'+OK\r\n'.repeat(commands.length - 1)}+PONG\r\n`;
}

/** The command of an installed Redis or Valkey; under root on Debian a missing one is installed. */
export async function findRedis(
  report: (line: string) => void,
  machine: Machine = thisMachine,
): Promise<string> {
  return need(
    { missing: 'Redis is missing.', package: 'redis-server', takes: 'a few seconds', find: firstRedis },
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
    const command = (...words: readonly string[]): Promise<string> => ask(port, words);
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
  { args = [], config = [], sentinel = false }: RedisServerOptions,
): Promise<GuardedProcess> {
  const file = join(guard.folder, 'redis.conf');
  const plain = sentinel ? [] : ['save ""', 'appendonly no'];
  const lines = [
    ...[`port ${port}`, 'bind 127.0.0.1', `dir ${guard.folder}`, `pidfile ${guard.folder}/redis.pid`],
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

async function answersPing({ command }: Pick<RedisServer, 'command'>): Promise<boolean> {
  const answer = await command('PING').catch(codeOf);
  return answer.startsWith('+PONG') || answer.startsWith('-NOAUTH');
}

/** Of a connection that does not come about. */
function codeOf(error: NodeJS.ErrnoException): string {
  return error.code ?? 'unknown';
}

function ask(port: number, words: readonly string[]): Promise<string> {
  return askAll({ host: '127.0.0.1', port }, [words]);
}

function askAll(
  server: { readonly host: string; readonly port: number },
  commands: readonly (readonly string[])[],
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(server);
    socket.setTimeout(5_000, () => socket.destroy(new Error('Redis does not answer')));
    let text = '';
    socket.setEncoding('utf8');
    socket.on('connect', () => {
      const lines = commands.map(
        (words) =>
          `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`,
      );
      // Redis answers what came before our end, and then ends too: so the whole answer is there (a sentinel knows no
      // QUIT).
      socket.end(lines.join(''));
    });
    socket.on('data', (data: string) => {
      text += data;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}
