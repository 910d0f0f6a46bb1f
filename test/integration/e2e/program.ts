import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { runCli } from '../../../src/cli/cli.ts';
import { Collector, quietContext } from '../../cli/harness.ts';

/** The path of the program in this checkout. */
export const MAIN = resolve(import.meta.dirname, '../../../src/main.ts');

export interface Run {
  /** Null when the process was killed. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningProgram {
  readonly child: ChildProcess;
  readonly result: Promise<Run>;
}

/** Starts the program with only PATH from this environment. */
export function startProgram(
  args: readonly string[],
  { cwd, env = {} }: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): RunningProgram {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const result = (async (): Promise<Run> => {
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit') as Promise<[number | null]>,
    ]);
    return { code, stdout, stderr };
  })();
  return { child, result };
}

/** Runs the program in this process, because child processes are slower. */
export async function runInProcess(
  args: readonly string[],
  { cwd, env = {} }: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Promise<Run> {
  const [stdout, stderr] = [new Collector(), new Collector()];
  const code = await runCli(args, quietContext({ env, cwd, stdout, stderr }));
  return { code, stdout: stdout.text, stderr: stderr.text };
}

export interface TargetReport {
  readonly mapping: string;
  readonly namespace: string;
  readonly secret: string;
  readonly outcome: string;
  readonly code?: string;
  readonly message?: string;
  readonly remedy?: string;
}

export interface SyncReport extends Run {
  readonly ok: boolean;
  readonly requestId: string;
  readonly summary: Readonly<Record<string, number>>;
  readonly targets: readonly TargetReport[];
}

/** Parses the output of `sync --output json`. */
export function syncReport(run: Run): SyncReport {
  if (!run.stdout.startsWith('{')) throw new Error(`no report, exit code ${run.code}: ${run.stderr}`);
  const report = JSON.parse(run.stdout) as Omit<SyncReport, keyof Run> | { readonly error: object };
  if ('error' in report)
    throw new Error(`exit code ${run.code}: ${JSON.stringify(report.error)} ${run.stderr}`);
  return { ...run, ...report };
}
