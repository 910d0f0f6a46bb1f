import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

export interface Child extends AsyncDisposable {
  /** Returns the next line of the standard output of the process. */
  line(): Promise<string>;
  kill(signal: NodeJS.Signals): Promise<void>;
}

const SCRIPT = join(import.meta.dirname, 'child.ts');

/** Starts another process. `limitKiB` is the maximum size of the files that the process can write. */
export function runChild(args: readonly string[], { limitKiB }: { readonly limitKiB?: number } = {}): Child {
  const own = [SCRIPT, ...args];
  const child =
    limitKiB === undefined
      ? start(process.execPath, own)
      : // The unit of `ulimit -f` in Bash is KiB. The process ignores SIGXFSZ, so a write beyond the limit fails as on a full disk.
        start('bash', [
          '-c',
          `ulimit -f ${limitKiB}; trap '' XFSZ; exec "$@"`,
          'bash',
          process.execPath,
          ...own,
        ]);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = once(child, 'exit');
  async function kill(signal: NodeJS.Signals): Promise<void> {
    child.kill(signal);
    await ended;
  }
  return {
    async line() {
      const { value, done } = await lines.next();
      if (done) throw new Error('the process ended without output');
      return value;
    },
    kill,
    [Symbol.asyncDispose]: () => kill('SIGKILL'),
  };
}

function start(command: string, args: readonly string[]): ChildProcessByStdio<null, Readable, null> {
  return spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}
