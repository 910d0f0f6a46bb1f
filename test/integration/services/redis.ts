import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { freePort, retryOnPortClash } from './free-port.ts';
import { assertStarting, type Guard, type GuardedProcess, openTemporaryGuard } from './guarded.ts';
import { type Machine, need, thisMachine } from './requirements.ts';
import { reportToStderr, type Service, type StartOptions, until } from './service.ts';

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
  const guard = await openTemporaryGuard('redis');
  try {
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
      ...{ port, pid, command, borrowed: false, lost: guard.lost },
      async kill() {
        globalThis.process.kill(pid, 'SIGKILL');
        await process.ended;
      },
      async restart() {
        await guard.close();
        return launch(program, port, options);
      },
      stop: guard.close,
      [Symbol.asyncDispose]: guard.close,
    };
  } catch (error) {
    await guard.close();
    throw error;
  }
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
  const answer = await command('PING').catch((error: NodeJS.ErrnoException) => error.code ?? 'unknown');
  return answer.startsWith('+PONG') || answer.startsWith('-NOAUTH');
}

function ask(port: number, words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.setTimeout(5_000, () => socket.destroy(new Error('Redis does not answer')));
    let text = '';
    socket.setEncoding('utf8');
    socket.on('connect', () => {
      const bulk = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('');
      // Redis answers what came before our end, and then ends too: so the whole answer is there (a sentinel knows
      // no QUIT).
      socket.end(`*${words.length}\r\n${bulk}`);
    });
    socket.on('data', (data: string) => {
      text += data;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}
