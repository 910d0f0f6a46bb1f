// npm run servers: starts the servers of the integration tests, so that you can try things by hand.
import { ServiceError } from '../test/integration/services/service.ts';
import { answerCommand, findUsageProblem } from './servers/commands.ts';
import { listenForCommands, sendCommand } from './servers/control.ts';
import { type Playground, startPlayground } from './servers/playground.ts';
import { describeServers, HELP, READY } from './servers/texts.ts';

/** Resolves when the servers must stop. */
function untilStopRequested(): Promise<'stop'> {
  return new Promise((resolve) => {
    // Ctrl-C can send the signal twice: the terminal sends it, and npm sends it. The second signal has no effect.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve('stop'));
    // `with-node.js` can forward signals, but not SIGKILL. Therefore poll whether `with-node.js` still runs.
    const launcher = Number(process.env.SECRETBRIDGE_LAUNCHER_PID);
    if (launcher !== process.ppid) return;
    setInterval(() => process.ppid === launcher || resolve('stop'), 1000).unref();
  });
}

async function runServers(): Promise<number> {
  const stopRequest = untilStopRequested();
  const ready = Promise.withResolvers<Playground>();
  // A command that arrives during the start waits until all servers are ready.
  await using control = await listenForCommands(async (args) => answerCommand(await ready.promise, args));
  startPlayground().then(ready.resolve, ready.reject);
  if ((await Promise.race([ready.promise, stopRequest])) === 'stop') {
    await control[Symbol.asyncDispose]();
    // Every server and every build ends when this process ends.
    process.exit(130);
  }
  await using playground = await ready.promise;
  process.stdout.write(`\n${describeServers(playground)}\n${READY}`);
  const reason = await Promise.race([stopRequest, playground.unexpectedExit]);
  process.stderr.write(
    reason === 'stop' ? '\nStopping the servers …\n' : `\n${reason} Stopping the others …\n`,
  );
  return reason === 'stop' ? 0 : 1;
}

async function runCommand(args: readonly string[]): Promise<number> {
  const problem = findUsageProblem(args);
  if (problem !== undefined) {
    process.stderr.write(`${problem} All commands: npm run servers -- --help\n`);
    return 64;
  }
  const slow = setTimeout(
    () => process.stderr.write('The servers are starting. Waiting for them …\n'),
    1_000,
  );
  const answer = await sendCommand(args);
  clearTimeout(slow);
  if (answer === undefined) {
    process.stderr.write('The servers do not run. Start them in another shell: npm run servers\n');
    return 1;
  }
  process.stdout.write(answer.stdout ?? '');
  process.stderr.write(answer.stderr ?? '');
  return answer.code;
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(HELP);
    return 0;
  }
  return args.length === 0 ? runServers() : runCommand(args);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof ServiceError)) throw error;
  process.stderr.write(`${error.message}\n`);
  // Every server and every build ends when this process ends.
  process.exit(1);
}
