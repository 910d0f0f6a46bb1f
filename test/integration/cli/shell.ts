import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';

/** An interactive shell on a terminal of its own, by util-linux' `script`. */
export interface Shell extends AsyncDisposable {
  /** Types a line, tabs included, and gives what `secretbridge` was then called with. */
  type(line: string): Promise<string>;
}

/** Long enough for a busy machine; nothing waits so long. */
const LONGEST_MS = 30_000;

/** @param setUp Lines that load the completion. */
export async function openShell(command: string, setUp: readonly string[], home: string): Promise<Shell> {
  const env = { PATH: process.env.PATH, TERM: 'xterm', HOME: home };
  const child = spawn('/usr/bin/script', ['-qec', command, '/dev/null'], { env, cwd: home });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += String(chunk);
  });
  const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
    const end = Date.now() + LONGEST_MS;
    for (;;) {
      const found = pattern.exec(output);
      if (found !== null) return found;
      if (Date.now() > end)
        throw new Error(`the shell did not say ${pattern}: ${JSON.stringify(output.slice(-500))}`);
      await pause(20);
    }
  };
  // What is typed is shown too, so the marks are not spelled in it.
  child.stdin.write(`${[...setUp, `secretbridge() { printf '%s<%s>\\n' CAL''LED "$*"; }`].join('\n')}\n`);
  child.stdin.write(`printf '%s\\n' REA''DY\n`);
  await until(/READY/);
  return {
    async type(line) {
      output = '';
      child.stdin.write(`${line}\n`);
      const [, called = ''] = await until(/CALLED<(.*?)>/);
      return called;
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end('exit\n');
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}
