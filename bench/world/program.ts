import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { readDockerfile } from '../../test/integration/deploy/image-root.ts';
import { BenchError } from '../harness/error.ts';
import { builtProgram } from './built.ts';
import { type KernelFiles, type Usage, usageNow, usageOf } from './usage.ts';

export interface Place {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** Where a service of this configuration listens. */
  readonly address?: string;
  /** More options of Node, such as `--cpu-prof`. */
  readonly node?: readonly string[];
}

export interface Ended {
  /** From its start to its end. */
  readonly ms: number;
  readonly stdout: string;
}

export interface Running extends AsyncDisposable {
  readonly startedAt: number;
  /** What it has used so far. Nothing is loaded into it for that. */
  usage(): Promise<Usage>;
  readonly ended: Promise<Ended>;
  /** Rejects when it has ended, for whoever counts on it. */
  readonly lost: Promise<never>;
  /** Resolves when it has logged a message so often. To ask the cluster instead would slow down what is measured. */
  logged(message: string, times: number): Promise<void>;
  /** Asks it to end, and waits until it has. */
  stop(): Promise<void>;
}

const USAGE_AT_END = pathToFileURL(join(import.meta.dirname, 'usage-at-end.js')).href;
const GRACE_MS = 30_000;
const LOGGED_MS = 900_000;

/** The program as people start it, in a folder that holds its configuration. */
export async function startProgram(args: readonly string[], place: Place): Promise<Running> {
  return startNode([await builtProgram(), ...args], place);
}

/** The same to its end, with all that it has used. */
export async function runProgram(args: readonly string[], place: Place): Promise<Ended & Usage> {
  return runNode([await builtProgram(), ...args], place);
}

/**
 * Node in the environment that the image gives it, which is said in the Dockerfile and nowhere else. Floors have the
 * same: what the image sets is no part of what is measured.
 */
export async function startNode(
  args: readonly string[],
  { folder, env, node = [] }: Place,
): Promise<Running> {
  const image = await readDockerfile();
  const startedAt = performance.now();
  const child = spawn(process.execPath, [...node, ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...image.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = () => void child.kill('SIGKILL');
  // Nobody else would end a service.
  process.once('exit', kill);
  const log = createLog(child);
  const ended = endOf(child, log, args.join(' '))
    .then((stdout) => ({ stdout, ms: performance.now() - startedAt }))
    .finally(() => process.off('exit', kill));
  const lost = ended.then(() => {
    throw new BenchError(`${args.join(' ')} ended by itself`);
  });
  // Whoever waits for them is told.
  void Promise.allSettled([ended, lost]);
  return {
    startedAt,
    usage: () => usageNow(child.pid ?? 0),
    ended,
    lost,
    async logged(message, times) {
      const late = sleep(LOGGED_MS, undefined, { ref: false }).then(() => {
        throw new BenchError(`"${message}" was not logged ${times} times within ${LOGGED_MS / 1_000} s`);
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

/** The same to its end, with all that it has used. */
export async function runNode(args: readonly string[], place: Place): Promise<Ended & Usage> {
  const kept = join(place.folder, 'usage.json');
  const env = { ...place.env, BENCH_USAGE: kept };
  await using run = await startNode(['--import', USAGE_AT_END, ...args], { ...place, env });
  const ended = await run.ended;
  return { ...ended, ...usageOf(JSON.parse(await readFile(kept, 'utf8')) as KernelFiles) };
}

interface Log {
  readonly lines: readonly string[];
  readonly whole: Promise<void>;
  until(part: string, times: number): Promise<void>;
}

/** What it says on standard error. */
function createLog({ stderr }: ChildProcess): Log {
  if (stderr === null) throw new BenchError('a process without outputs');
  const lines: string[] = [];
  const reader = createInterface({ input: stderr });
  reader.on('line', (line) => lines.push(line));
  return {
    lines,
    whole: once(reader, 'close').then(() => undefined),
    until(part, times) {
      const { promise, resolve } = Promise.withResolvers<void>();
      let left = times - lines.filter((line) => line.includes(part)).length;
      if (left <= 0) return Promise.resolve();
      const count = (line: string): void => {
        if (!line.includes(part)) return;
        left -= 1;
        if (left > 0) return;
        reader.off('line', count);
        resolve();
      };
      reader.on('line', count);
      return promise;
    },
  };
}

/** What it has printed. */
async function endOf(child: ChildProcess, { lines, whole }: Log, shown: string): Promise<string> {
  const { stdout } = child;
  if (stdout === null) throw new BenchError('a process without outputs');
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
