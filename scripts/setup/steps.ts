import { type ChildProcess, spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

export interface Step {
  readonly title: string;
  readonly command: readonly [string, ...string[]];
  /** Whether to show the output while the step runs. By default, the output appears only after a failure. */
  readonly loud?: boolean;
}

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const GRACE_MS = 5_000;

/** Returns a signal that aborts at Ctrl-C, at SIGTERM, or when the terminal closes. */
export function abortOnSignals(): AbortSignal {
  const stop = new AbortController();
  for (const signal of STOP_SIGNALS) process.on(signal, () => stop.abort());
  return stop.signal;
}

/**
 * Runs a command. Prints the result and the duration.
 *
 * @returns Whether the command succeeded. An aborted command counts as failed, and prints nothing.
 */
export async function step({ title, command, loud = false }: Step, signal?: AbortSignal): Promise<boolean> {
  if (signal?.aborted) return false;
  const started = performance.now();
  const { code, output } = await run(command, loud, signal);
  if (signal?.aborted) return false;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${code === 0 ? 'ok    ' : 'failed'}  ${title} (${seconds} s)`);
  if (code !== 0 && output !== '') console.log(output);
  return code === 0;
}

async function run(
  [name, ...args]: Step['command'],
  loud: boolean,
  signal: AbortSignal | undefined,
): Promise<{ code: number; output: string }> {
  // The command gets its own process group, so that an abort also ends the workers of a test runner.
  const child = spawn(name, args, {
    detached: true,
    stdio: loud ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
  });
  const abort = (): void => endGroup(child);
  signal?.addEventListener('abort', abort, { once: true });
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
  const outputs = [child.stdout, child.stderr].map((stream) =>
    Promise.resolve(stream === null ? '' : text(stream)),
  );
  try {
    return { code: await ended, output: (await Promise.all(outputs)).join('').trimEnd() };
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/**
 * Sends SIGTERM to a process and its whole group. After five seconds, sends SIGKILL to the processes that still run.
 */
function endGroup(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return;
  const send = (signal: NodeJS.Signals): void => {
    try {
      process.kill(-pid, signal);
    } catch (error) {
      // The group has already ended.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  };
  send('SIGTERM');
  const force = setTimeout(() => send('SIGKILL'), GRACE_MS);
  child.once('close', () => clearTimeout(force));
}
