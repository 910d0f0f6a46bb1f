import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
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
  /** Asks it to end, and waits until it has. */
  stop(): Promise<void>;
}

const USAGE_AT_END = pathToFileURL(join(import.meta.dirname, 'usage-at-end.js')).href;
const GRACE_MS = 30_000;

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
  const ended = endOf(child, args.join(' '))
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

/** What it has printed. */
async function endOf(child: ChildProcess, shown: string): Promise<string> {
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new BenchError('a process without outputs');
  const [out, err, [code, signal]] = await Promise.all([
    text(stdout),
    text(stderr),
    once(child, 'exit') as Promise<[number | null, string | null]>,
  ]);
  if (code !== 0)
    throw new BenchError(
      `${shown} ended with ${code ?? signal}:\n${err.slice(-2_000)}${out.slice(0, 2_000)}`,
    );
  return out;
}
