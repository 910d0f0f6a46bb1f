import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

export interface Step {
  readonly title: string;
  readonly command: readonly [string, ...string[]];
  /** Its output is the point of it, and shown as it comes; otherwise only when it fails. */
  readonly loud?: boolean;
}

/**
 * Runs a command, says how it ended and how long it took, and gives whether it succeeded. One that is called off has
 * not, and nothing is said of it.
 */
export async function step(
  { title, command, loud = false }: Step,
  signal = new AbortController().signal,
): Promise<boolean> {
  const started = performance.now();
  const { code, output } = await run(command, loud, signal);
  if (signal.aborted) return false;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${code === 0 ? 'ok    ' : 'failed'}  ${title} (${seconds} s)`);
  if (code !== 0 && output !== '') console.log(output);
  return code === 0;
}

async function run(
  [name, ...args]: Step['command'],
  loud: boolean,
  signal: AbortSignal,
): Promise<{ code: number; output: string }> {
  const child = spawn(name, args, {
    stdio: loud ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
    signal,
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', (error) => {
      if (!signal.aborted) reject(error);
    });
    child.on('close', (code) => resolve(code ?? 1));
  });
  const outputs = [child.stdout, child.stderr].map((stream) =>
    Promise.resolve(stream === null ? '' : text(stream)),
  );
  return { code: await ended, output: (await Promise.all(outputs)).join('').trimEnd() };
}
