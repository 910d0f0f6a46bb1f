import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** An interactive shell on a separate terminal, created by `script` of util-linux. */
export interface Shell extends AsyncDisposable {
  /** Types a line, which may contain tabs. Returns the arguments of the resulting `secretbridge` call. */
  type(line: string): Promise<string>;
}

/** The folder with the program `secretbridge`. */
export const BIN = resolve(import.meta.dirname, '../../../bin');

/** A generous timeout for a busy machine. */
const TIMEOUT_MS = 30_000;

/** @param setUp Lines that load the completion into the shell. */
export async function openShell(command: string, setUp: readonly string[], home: string): Promise<Shell> {
  const env = { PATH: process.env.PATH, TERM: 'xterm', HOME: home };
  const child = spawn('/usr/bin/script', ['-qec', command, '/dev/null'], { env, cwd: home });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += String(chunk);
  });
  const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
    const end = Date.now() + TIMEOUT_MS;
    for (;;) {
      const match = pattern.exec(output);
      if (match !== null) return match;
      if (Date.now() > end)
        throw new Error(`the shell did not print ${pattern}: ${JSON.stringify(output.slice(-500))}`);
      await pause(20);
    }
  };
  // The terminal echoes its input. The input contains each marker in two parts, so the echo never contains a complete
  // marker.
  // Completion calls the program for the names in the configuration.
  const program = `secretbridge() { if [ "$1" = complete ]; then ${BIN}/secretbridge "$@"; else printf '%s<%s>\\n' CAL''LED "$*"; fi; }`;
  child.stdin.write(`${[...setUp, program].join('\n')}\n`);
  child.stdin.write(`printf '%s\\n' REA''DY\n`);
  await until(/READY/);
  return {
    async type(line) {
      output = '';
      child.stdin.write(`${line}\n`);
      const [, args = ''] = await until(/CALLED<(.*?)>/);
      return args;
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end('exit\n');
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}
