import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type Answer, createRequest, tryRequest } from '../integration/services/http.ts';

/** One life of a process. */
export interface Life {
  readonly pid: number;
  readonly startedAt: number;
  endedAt?: number;
  /** From the start until it was ready. */
  readyMs?: number;
  /** That it ended by itself, and how. */
  ended?: string;
  /** Milliseconds since 1970, and megabytes. */
  readonly memory: [at: number, megabytes: number][];
}

export interface ReplicaOptions {
  readonly name: string;
  readonly main: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly port: number;
  readonly token: string;
  /** All that it prints, of all its lives. */
  readonly log: string;
}

const RESTART_MS = 2_000;

/** A `secretbridge serve` as a process, which may be killed and started again. */
export interface Replica extends AsyncDisposable {
  readonly name: string;
  readonly log: string;
  readonly lives: readonly Life[];
  readonly isRunning: boolean;
  /**
   * Starts it, and again whenever it ends by itself, as a kubelet would; `ready` is for whoever wants to wait. A start
   * with an invalid configuration ends at once.
   */
  start(): void;
  /** Until it says that it is ready. */
  ready(signal: AbortSignal): Promise<void>;
  kill(): Promise<void>;
  /** In good order; gives the exit code. */
  stop(): Promise<number | null>;
  /** `undefined`: nobody answers. */
  get(path: string): Promise<Answer | undefined>;
  post(path: string, body?: object): Promise<Answer | undefined>;
  /** Notes how much memory it has now. */
  weigh(): Promise<void>;
}

export function createReplica(options: ReplicaOptions): Replica {
  const { name, main, args, cwd, env, port, token, log } = options;
  const send = createRequest({
    address: `http://127.0.0.1:${port}`,
    headers: { authorization: `Bearer ${token}` },
  });
  const lives: Life[] = [];
  let child: ChildProcess | undefined;
  let life: Life | undefined;
  let ended: Promise<number | null> = Promise.resolve(0);

  let wanted = false;

  const get = (path: string) => tryRequest(send, 'GET', path);
  // Its servers go with this process, whatever ends it; so must it.
  process.once('exit', () => child?.kill('SIGKILL'));
  const replica: Replica = {
    name,
    log,
    lives,
    get isRunning() {
      return child !== undefined && child.exitCode === null && child.signalCode === null;
    },
    start() {
      wanted = true;
      const output = openSync(log, 'a');
      const started = spawn(process.execPath, [main, 'serve', ...args], {
        cwd,
        env: { PATH: process.env.PATH, ...env },
        stdio: ['ignore', output, output],
      });
      const born: Life = { pid: started.pid ?? 0, startedAt: Date.now(), memory: [] };
      lives.push(born);
      child = started;
      life = born;
      ended = once(started, 'exit').then(([code, signal]) => {
        born.endedAt = Date.now();
        if (wanted && life === born) {
          born.ended = `${code ?? signal}`;
          setTimeout(() => wanted && replica.start(), RESTART_MS);
        }
        return code as number | null;
      });
    },
    async ready(signal) {
      while (!signal.aborted && wanted) {
        const mine = life;
        if (replica.isRunning && mine !== undefined && (await get('/readyz'))?.status === 200) {
          mine.readyMs = Date.now() - mine.startedAt;
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
    async kill() {
      wanted = false;
      child?.kill('SIGKILL');
      await ended;
    },
    async stop() {
      wanted = false;
      child?.kill('SIGTERM');
      return ended;
    },
    get,
    post: (path, body = {}) => tryRequest(send, 'POST', path, body),
    async weigh() {
      if (!replica.isRunning || life === undefined) return;
      const status = await readStatus(life.pid);
      const kilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
      if (kilobytes > 0) life.memory.push([Date.now(), kilobytes / 1_024]);
    },
    async [Symbol.asyncDispose]() {
      if (replica.isRunning) await replica.kill();
    },
  };
  return replica;
}

/** Empty for a process that has just ended. */
async function readStatus(pid: number): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/status`, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH'))
      return '';
    throw error;
  }
}
