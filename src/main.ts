import { userInfo } from 'node:os';
import { quickAnswer } from './cli/overview.ts';

// The only file with argv, signals and exit codes.

const { env, stdout, stderr } = process;

// A reader that leaves early, such as `head`, is no error, and what is being written goes on without it. A result
// that could not be printed is one, whatever it was: only wrong usage and a wrong configuration come before that.
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
  // A terminal that does not know its size says 0.
  width: stdout.columns || stderr.columns || 80,
  color: stdout.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb',
};
const answer = quickAnswer(args, terminal);
if (answer === undefined) await run();
else stdout.write(answer);

async function run(): Promise<void> {
  const [{ runCli }, { printInternal }, { systemClock }, { AppError }] = await Promise.all([
    import('./cli/cli.ts'),
    import('./cli/texts/output.ts'),
    import('./core/clock.ts'),
    import('./core/errors.ts'),
  ]);
  const { stdin } = process;
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      // The first asks to end in good order, the second means now.
      if (stop.signal.aborted) process.exit(130);
      stop.abort(new AppError('INTERRUPTED'));
    });

  // Packages write on it, and what servers said with it.
  for (const name of ['debug', 'error', 'info', 'log', 'trace', 'warn'] as const)
    console[name] = () => undefined;

  // Node asks for it at each connection, those of packages included: to the collector of traces, to whoever has the keys
  // of tokens, to a proxy.
  delete env.NODE_TLS_REJECT_UNAUTHORIZED;

  // Node would print what was thrown with all its fields, and a vendor's error may hold a token.
  process.on('uncaughtException', (thrown) => {
    printInternal(stderr, thrown);
    process.exit(1);
  });

  const cwd = workingFolder();
  if (cwd === undefined) {
    stderr.write('error: the working folder is not there any more: change into one that is\n');
    return exitWith(64);
  }
  const code = await runCli(args, {
    ...terminal,
    env,
    cwd,
    stdout,
    stderr,
    interactive: stderr.isTTY === true && env.TERM !== 'dumb',
    ...(stdout.isTTY && stdout.columns > 0 ? { columns: stdout.columns } : {}),
    clock: systemClock,
    user: userName(),
    ...(stdin.isTTY && stderr.isTTY ? { ask: { input: stdin, output: stderr } } : {}),
    stdin,
    signal: stop.signal,
    // Without a listener it ends the process, as it does everywhere.
    onHangup: (listener) => void process.on('SIGHUP', listener),
  });
  // Another one stands where the output could not be written.
  exitWith(code || Number(process.exitCode ?? 0));
}

/** None where somebody has removed it. */
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
    // A container may run as a user id that has no name.
    if (error instanceof Error && 'code' in error) return String(process.getuid?.() ?? 'unknown');
    throw error;
  }
}
