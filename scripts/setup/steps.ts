import { type ChildProcess, spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

export interface Step {
  readonly title: string;
  readonly command: readonly [string, ...string[]];
  /** Shows the output while the step runs. Otherwise the output appears only after a failure. */
  readonly loud?: boolean;
}

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const GRACE_MS = 5_000;

/** Aborts at Ctrl-C, SIGTERM, or when the terminal closes. */
export function abortOnSignals(): AbortSignal {
  const stop = new AbortController();
  for (const signal of STOP_SIGNALS) process.on(signal, () => stop.abort());
  return stop.signal;
}

/**
 * Runs a command and prints how it ended and how long it took.
 *
 * @returns Whether it succeeded. An aborted step did not, and prints nothing.
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
  // The process group of its own lets an abort end the workers of a test runner too.
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

/** Ends a process and everything in its group; what ignores SIGTERM for five seconds is killed. */
function endGroup(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return;
  const send = (signal: NodeJS.Signals): void => {
    try {
      process.kill(-pid, signal);
    } catch (error) {
      // The group has ended.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  };
  send('SIGTERM');
  const force = setTimeout(() => send('SIGKILL'), GRACE_MS);
  child.once('close', () => clearTimeout(force));
}
