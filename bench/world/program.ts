import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { readDockerfile } from '../../test/integration/deploy/image-root.ts';
import { BenchError } from '../harness/error.ts';
import { builtProgram } from './build.ts';
import { type KernelFiles, type Usage, usageNow, usageOf } from './usage.ts';

export interface Workspace {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** The address of the service that this configuration starts. */
  readonly address?: string;
  /** Additional Node options, such as `--cpu-prof`. */
  readonly node?: readonly string[];
}

export interface FinishedProcess {
  /** The duration of the process in milliseconds. */
  readonly ms: number;
  readonly stdout: string;
}

export interface RunningProcess extends AsyncDisposable {
  readonly startedAt: number;
  /** Returns the resources that the process has used so far, as the kernel reports them. */
  usage(): Promise<Usage>;
  /** Measures the peak of resident memory from now on. */
  resetPeak(): Promise<void>;
  readonly ended: Promise<FinishedProcess>;
  /** Rejects when the process ends, even with exit code 0. */
  readonly unexpectedEnd: Promise<never>;
  /**
   * Resolves when the log contains the message this many times. Polling the cluster instead would slow down the
   * measured service.
   */
  untilLogged(message: string, times: number): Promise<void>;
  /** Sends SIGTERM and waits until the process has ended. */
  stop(): Promise<void>;
}

const USAGE_AT_END = pathToFileURL(join(import.meta.dirname, 'usage-at-end.js')).href;
const GRACE_MS = 30_000;
/** Documented in proc(5). */
const RESET_PEAK = '5';
const LOG_TIMEOUT_MS = 900_000;

/** Starts the program in the folder with its configuration. */
export async function startProgram(args: readonly string[], workspace: Workspace): Promise<RunningProcess> {
  return startNode([await builtProgram(), ...args], workspace);
}

/** Runs the program until it ends. Returns its duration and the resources that it used. */
export async function runProgram(
  args: readonly string[],
  workspace: Workspace,
): Promise<FinishedProcess & Usage> {
  return runNode([await builtProgram(), ...args], workspace);
}

/**
 * Starts Node with the environment variables of the Dockerfile. The floors are measured with the same variables, so
 * that the comparison is fair.
 */
export async function startNode(
  args: readonly string[],
  { folder, env, node = [] }: Workspace,
): Promise<RunningProcess> {
  const image = await readDockerfile();
  const startedAt = performance.now();
  const child = spawn(process.execPath, [...node, ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...image.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = () => void child.kill('SIGKILL');
  // Kill the service at exit, because it would otherwise keep running after the end of the benchmark.
  process.once('exit', kill);
  const log = createLog(child);
  const ended = endOf(child, log, args.join(' '))
    .then((stdout) => ({ stdout, ms: performance.now() - startedAt }))
    .finally(() => process.off('exit', kill));
  const lost = ended.then(() => {
    throw new BenchError(`${args.join(' ')} ended unexpectedly`);
  });
  // Mark both promises as handled to avoid unhandled rejections. Callers that await a promise still get its error.
  void Promise.allSettled([ended, lost]);
  return {
    startedAt,
    usage: () => usageNow(child.pid ?? 0),
    resetPeak: () => writeFile(`/proc/${child.pid}/clear_refs`, RESET_PEAK),
    ended,
    unexpectedEnd: lost,
    async untilLogged(message, times) {
      const late = sleep(LOG_TIMEOUT_MS, undefined, { ref: false }).then(() => {
        throw new BenchError(`"${message}" was not logged ${times} times within ${LOG_TIMEOUT_MS / 1_000} s`);
      });
      await Promise.race([log.until(`"message":"${message}"`, times), lost, late]);
    },
    async stop() {
      child.kill('SIGTERM');
      const late = setTimeout(kill, GRACE_MS);
      await ended.finally(() => clearTimeout(late));
    },
    async [Symbol.asyncDispose]() {
      kill();
      await Promise.allSettled([ended]);
    },
  };
}

/** Runs the program until it ends. Returns its duration and the resources that it used. */
export async function runNode(
  args: readonly string[],
  workspace: Workspace,
): Promise<FinishedProcess & Usage> {
  const usageFile = join(workspace.folder, 'usage.json');
  const env = { ...workspace.env, BENCH_USAGE: usageFile };
  await using run = await startNode(['--import', USAGE_AT_END, ...args], { ...workspace, env });
  const ended = await run.ended;
  return { ...ended, ...usageOf(JSON.parse(await readFile(usageFile, 'utf8')) as KernelFiles) };
}

interface Log {
  readonly lines: readonly string[];
  readonly whole: Promise<void>;
  until(part: string, times: number): Promise<void>;
}

/** Collects the lines that the process writes to standard error. */
function createLog({ stderr }: ChildProcess): Log {
  if (stderr === null) throw new BenchError('the process has no output streams');
  const lines: string[] = [];
  const reader = createInterface({ input: stderr });
  reader.on('line', (line) => lines.push(line));
  return {
    lines,
    whole: once(reader, 'close').then(() => undefined),
    until(part, times) {
      const { promise, resolve } = Promise.withResolvers<void>();
      let missing = times - lines.filter((line) => line.includes(part)).length;
      if (missing <= 0) return Promise.resolve();
      const count = (line: string): void => {
        if (!line.includes(part)) return;
        missing -= 1;
        if (missing > 0) return;
        reader.off('line', count);
        resolve();
      };
      reader.on('line', count);
      return promise;
    },
  };
}

/** Waits for the end of the process and returns its standard output. */
async function endOf(child: ChildProcess, { lines, whole }: Log, shown: string): Promise<string> {
  const { stdout } = child;
  if (stdout === null) throw new BenchError('the process has no output streams');
  const [out, , [code, signal]] = await Promise.all([
    text(stdout),
    whole,
    once(child, 'exit') as Promise<[number | null, string | null]>,
  ]);
  if (code !== 0)
    throw new BenchError(
      `${shown} ended with ${code ?? signal}:\n${lines.join('\n').slice(-2_000)}\n${out.slice(0, 2_000)}`,
    );
  return out;
}
