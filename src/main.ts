import { userInfo } from 'node:os';
import { quickOutput } from './cli/overview.ts';

// The only file that uses argv, signals and the process exit code.

// Node's own listener would open the inspector, which gives access to the whole memory of the process.
process.on('SIGUSR1', () => undefined);

const { env, stdout, stderr } = process;

// It is no error if the reader of the output, such as `head`, closes early. In this case, the work continues. Any other
// failure to print the result sets exit code 1, unless the exit code is 64 or 3.
let isPrinted = true;
const exitWith = (code: number): void => {
  process.exitCode = isPrinted || code === 64 || code === 3 ? code : 1;
};
for (const stream of [stdout, stderr])
  stream.on('error', ({ code = 'unknown' }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE') return;
    if (stream === stderr) return exitWith(Number(process.exitCode ?? 0) || 1);
    isPrinted = false;
    stderr.write(`error: the output could not be written: ${code}\n`);
    exitWith(Number(process.exitCode ?? 0));
  });

const args = process.argv.slice(2);
const terminal = {
  // A terminal of unknown size reports 0.
  width: stdout.columns || stderr.columns || 80,
  color: stdout.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb',
};
const answer = quickOutput(args, terminal);
if (answer === undefined) await run();
else stdout.write(answer);

async function run(): Promise<void> {
  const [{ runCli }, { keepHeapSmall }, { printInternal }, { systemClock }, { AppError }] = await Promise.all(
    [
      import('./cli/cli.ts'),
      import('./cli/heap.ts'),
      import('./cli/texts/output.ts'),
      import('./core/clock.ts'),
      import('./core/errors.ts'),
    ],
  );
  const { stdin } = process;
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      // The first signal stops the process gracefully. The second signal ends it immediately.
      if (stop.signal.aborted) process.exit(130);
      stop.abort(new AppError('INTERRUPTED'));
    });

  // Suppress console output. Packages write to the console, and their output can include responses of servers.
  for (const name of ['debug', 'error', 'info', 'log', 'trace', 'warn'] as const)
    console[name] = () => undefined;

  // Delete this variable. Node would apply it to every TLS connection, including the connections that packages open to
  // the trace collector, token key servers and proxies.
  delete env.NODE_TLS_REJECT_UNAUTHORIZED;

  // Print only safe parts of the error. Node would print the thrown object with all fields, and an error of a vendor's
  // package can contain a token.
  process.on('uncaughtException', (thrown) => {
    printInternal(stderr, thrown);
    process.exit(1);
  });

  const cwd = workingFolder();
  if (cwd === undefined) {
    stderr.write('error: the working folder no longer exists: change to another folder\n');
    return exitWith(64);
  }
  const code = await runCli(args, {
    ...terminal,
    env,
    cwd,
    keepHeapSmall,
    stdout,
    stderr,
    interactive: stderr.isTTY === true && env.TERM !== 'dumb',
    ...(stdout.isTTY && stdout.columns > 0 ? { columns: stdout.columns } : {}),
    clock: systemClock,
    user: userName(),
    ...(stdin.isTTY && stderr.isTTY ? { ask: { input: stdin, output: stderr } } : {}),
    stdin,
    signal: stop.signal,
    // Without a listener, SIGHUP ends the process as usual.
    onHangup: (listener) => void process.on('SIGHUP', listener),
  });
  // A failed write to the output may already have set another exit code, so keep that code.
  exitWith(code || Number(process.exitCode ?? 0));
}

/** Returns the working folder. Returns undefined if the folder was deleted. */
function workingFolder(): string | undefined {
  try {
    return process.cwd();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch (error) {
    // A container can run as a user id without a name.
    if (error instanceof Error && 'code' in error) return String(process.getuid?.() ?? 'unknown');
    throw error;
  }
}
