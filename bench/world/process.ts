import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError } from '../harness/error.ts';
import type { Place } from './program.ts';

/** What the kernel says of a process, so that nothing has to be loaded into it. */
export interface Seen {
  /** Of all its threads, since its start. */
  readonly cpuS: number;
  readonly rssMb: number;
  readonly mostMb: number;
}

export interface Process extends AsyncDisposable {
  readonly startedAt: number;
  seen(): Promise<Seen>;
  /** Rejects when it ends by itself. */
  readonly lost: Promise<never>;
  stop(): Promise<void>;
}

/** Linux gives times in hundredths of a second on every machine that Node runs on. */
const TICKS = 100;
const GRACE_MS = 30_000;

export function startProcess(args: readonly string[], { folder, env, node = [] }: Place): Process {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [...node, ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = once(child, 'exit');
  let asked = false;
  const lost = lostBy(child, exited, () => asked);
  void Promise.allSettled([lost]);
  return {
    startedAt,
    lost,
    seen: () => seenOf(child.pid ?? 0),
    async stop() {
      asked = true;
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
      await exited;
      clearTimeout(late);
    },
    async [Symbol.asyncDispose]() {
      asked = true;
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exited;
    },
  };
}

async function lostBy(child: ChildProcess, exited: Promise<unknown>, isAsked: () => boolean): Promise<never> {
  const said = child.stderr === null ? '' : await text(child.stderr);
  await exited;
  if (isAsked()) return new Promise(() => undefined);
  throw new BenchError(`it ended by itself:\n${said.slice(-2_000)}`);
}

async function seenOf(pid: number): Promise<Seen> {
  const [stat, status] = await Promise.all([
    readFile(`/proc/${pid}/stat`, 'utf8'),
    readFile(`/proc/${pid}/status`, 'utf8'),
  ]);
  // The name of the program, in brackets, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const megabytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1_024;
  return {
    cpuS: (Number(fields[11]) + Number(fields[12])) / TICKS,
    rssMb: megabytes('VmRSS'),
    mostMb: megabytes('VmHWM'),
  };
}

/** @throws BenchError when it is not so in time. */
export async function waitUntil(
  what: string,
  { lost }: Process,
  isSo: () => Promise<boolean>,
  { everyMs = 50, withinMs = 900_000 } = {},
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await Promise.race([isSo(), lost]))) {
    if (performance.now() > deadline) throw new BenchError(`${what} took longer than ${withinMs / 1_000} s`);
    await Promise.race([sleep(everyMs), lost]);
  }
}

/** Whether the service says that it is ready. */
export async function isReady(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
  } catch (error) {
    // It does not listen yet.
    if (error instanceof TypeError) return false;
    throw error;
  }
}
