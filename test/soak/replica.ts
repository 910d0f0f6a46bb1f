import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type Answer, createRequest, tryRequest } from '../integration/services/http.ts';

/** One run of a replica's process. */
export interface ProcessRun {
  readonly pid: number;
  readonly startedAt: number;
  endedAt?: number;
  /** The time from the start of the process until it was ready. */
  readyMs?: number;
  /** The exit code or signal of an unexpected exit. */
  unexpectedExit?: string;
  /** Samples of memory usage: milliseconds since 1970, and megabytes. */
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
  /** The path of the log file of all runs. */
  readonly log: string;
}

const RESTART_MS = 2_000;

/** A `secretbridge serve` process that a test can kill and restart. */
export interface Replica extends AsyncDisposable {
  readonly name: string;
  readonly log: string;
  readonly runs: readonly ProcessRun[];
  readonly isRunning: boolean;
  /**
   * Starts the process. Like a kubelet, restarts it after an unexpected exit. The process exits immediately when its
   * configuration is invalid. Does not wait until the process is ready: use `ready`.
   */
  start(): void;
  /** Waits until `/readyz` succeeds. */
  ready(signal: AbortSignal): Promise<void>;
  kill(): Promise<void>;
  /** Sends SIGTERM. Returns the exit code. */
  stop(): Promise<number | null>;
  /** Returns undefined if the replica does not answer. */
  get(path: string): Promise<Answer | undefined>;
  post(path: string, body?: object): Promise<Answer | undefined>;
  /** Records the current memory usage. */
  sampleMemory(): Promise<void>;
}

export function createReplica(options: ReplicaOptions): Replica {
  const { name, main, args, cwd, env, port, token, log } = options;
  const send = createRequest({
    address: `http://127.0.0.1:${port}`,
    headers: { authorization: `Bearer ${token}` },
  });
  const lives: ProcessRun[] = [];
  let child: ChildProcess | undefined;
  let latestRun: ProcessRun | undefined;
  let exited: Promise<number | null> = Promise.resolve(0);

  let shouldRun = false;

  const get = (path: string) => tryRequest(send, 'GET', path);
  // The servers end when this process ends, so the replica must end too.
  process.once('exit', () => child?.kill('SIGKILL'));
  const replica: Replica = {
    name,
    log,
    runs: lives,
    get isRunning() {
      return child !== undefined && child.exitCode === null && child.signalCode === null;
    },
    start() {
      shouldRun = true;
      const output = openSync(log, 'a');
      const started = spawn(process.execPath, [main, 'serve', ...args], {
        cwd,
        env: { PATH: process.env.PATH, ...env },
        stdio: ['ignore', output, output],
      });
      const run: ProcessRun = { pid: started.pid ?? 0, startedAt: Date.now(), memory: [] };
      lives.push(run);
      child = started;
      latestRun = run;
      exited = once(started, 'exit').then(([code, signal]) => {
        run.endedAt = Date.now();
        if (shouldRun && latestRun === run) {
          run.unexpectedExit = `${code ?? signal}`;
          setTimeout(() => shouldRun && replica.start(), RESTART_MS);
        }
        return code as number | null;
      });
    },
    async ready(signal) {
      while (!signal.aborted && shouldRun) {
        const currentRun = latestRun;
        if (replica.isRunning && currentRun !== undefined && (await get('/readyz'))?.status === 200) {
          currentRun.readyMs = Date.now() - currentRun.startedAt;
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
    async kill() {
      shouldRun = false;
      child?.kill('SIGKILL');
      await exited;
    },
    async stop() {
      shouldRun = false;
      child?.kill('SIGTERM');
      return exited;
    },
    get,
    post: (path, body = {}) => tryRequest(send, 'POST', path, body),
    async sampleMemory() {
      if (!replica.isRunning || latestRun === undefined) return;
      const status = await readStatus(latestRun.pid);
      const kilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
      if (kilobytes > 0) latestRun.memory.push([Date.now(), kilobytes / 1_024]);
    },
    async [Symbol.asyncDispose]() {
      if (replica.isRunning) await replica.kill();
    },
  };
  return replica;
}

/** Returns an empty text when the process has just ended. */
async function readStatus(pid: number): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/status`, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH'))
      return '';
    throw error;
  }
}
