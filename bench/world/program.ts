import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { BenchError } from '../harness/error.ts';
import { builtProgram } from './built.ts';

/** What a process has used: CPU of all its threads since its start, and its resident set. */
export interface Usage {
  readonly cpuMs: number;
  readonly rssMb: number;
  readonly maxRssMb: number;
}

export interface Ended extends Usage {
  /** From its start to its end. */
  readonly ms: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running extends AsyncDisposable {
  readonly pid: number;
  readonly startedAt: number;
  usage(): Promise<Usage>;
  /** Asks it to end, and waits until it has. */
  stop(): Promise<Ended>;
  readonly ended: Promise<Ended>;
}

export interface Place {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** Where a service of this configuration listens. */
  readonly address?: string;
  /** More options of Node, such as `--cpu-prof`. */
  readonly node?: readonly string[];
}

const USAGE = pathToFileURL(join(import.meta.dirname, 'usage.js')).href;

/** The program as people start it, in a folder that holds its configuration. */
export async function startProgram(args: readonly string[], place: Place): Promise<Running> {
  return startScript(await builtProgram(), args, place);
}

export function startScript(
  script: string,
  args: readonly string[],
  { folder, env, node = [] }: Place,
): Running {
  const used = join(folder, 'usage.json');
  const startedAt = performance.now();
  const child = spawn(process.execPath, [...node, '--import', USAGE, script, ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...env, BENCH_USAGE: used },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let over = false;
  const ended = end(child, script).then(async (outputs) => {
    over = true;
    const ms = performance.now() - startedAt;
    return { ...outputs, ms, ...(JSON.parse(await readFile(used, 'utf8')) as Usage) };
  });
  // Whoever waits for it is told.
  void Promise.allSettled([ended]);
  return {
    pid: child.pid ?? 0,
    startedAt,
    ended,
    async usage() {
      const answered = once(child, 'message');
      child.send('usage');
      return (await answered)[0] as Usage;
    },
    stop() {
      child.kill('SIGTERM');
      return ended;
    },
    async [Symbol.asyncDispose]() {
      if (!over) child.kill('SIGKILL');
      await Promise.allSettled([ended]);
    },
  };
}

async function end(child: ChildProcess, script: string) {
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new BenchError('a process without outputs');
  const [out, err, [code, signal]] = await Promise.all([
    text(stdout),
    text(stderr),
    once(child, 'exit') as Promise<[number | null, string | null]>,
  ]);
  if (code !== 0)
    throw new BenchError(
      `${script} ended with ${code ?? signal}:\n${err.slice(-2_000)}${out.slice(0, 2_000)}`,
    );
  return { stdout: out, stderr: err };
}
