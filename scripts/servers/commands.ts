import type { Answer } from './control.ts';
import { type Playground, type PlaygroundServer, SERVER_NAMES, type ServerName } from './playground.ts';
import { describeServers, shellVariables } from './texts.ts';

const USAGE_ERROR = 64;

/** Checks a command before it is sent. Returns the problem, or undefined. */
export function findUsageProblem([command = '', ...args]: readonly string[]): string | undefined {
  const excess = (allowed: readonly string[]): string | undefined => {
    const first = args.find((arg) => !allowed.includes(arg));
    return first === undefined ? undefined : `servers ${command}: unknown argument ${first}.`;
  };
  if (command === 'env') return excess(['--tests']);
  if (command === 'status') return excess([]);
  if (command !== 'stop' && command !== 'start') return `Unknown command ${command}.`;
  const unknown = args.find((name) => !(SERVER_NAMES as readonly string[]).includes(name));
  if (args.length > 0 && unknown === undefined) return undefined;
  const problem = unknown === undefined ? 'Name a server' : `No server has the name ${unknown}`;
  return `${problem}. The servers are: ${SERVER_NAMES.join(', ')}.`;
}

/** Carries out a command on the running servers. */
export async function answerCommand(
  playground: Playground,
  [command = '', ...args]: readonly string[],
): Promise<Answer> {
  if (command === 'env') return { code: 0, stdout: shellVariables(playground, args.includes('--tests')) };
  if (command === 'status') return { code: 0, stdout: `${describeServers(playground)}\n` };
  const named = playground.servers.filter(({ name }) => (args as readonly ServerName[]).includes(name));
  let code = 0;
  const lines: string[] = [];
  for (const server of named) {
    const { isDone, text } = command === 'stop' ? await stop(server) : await start(server);
    lines.push(`${text}\n`);
    if (!isDone) code = 1;
  }
  if (named.length === 0) return { code: USAGE_ERROR, stderr: `Unknown command ${command}.\n` };
  return code === 0 ? { code, stdout: lines.join('') } : { code, stderr: lines.join('') };
}

interface Result {
  readonly isDone: boolean;
  readonly text: string;
}

const foreign = (title: string): Result => ({
  isDone: false,
  text: `${title} was already running when the servers started. Only what started it can stop it.`,
});

async function stop({ name, title, url, port }: PlaygroundServer): Promise<Result> {
  if (port === undefined) return foreign(title);
  if (!port.isOpen) return { isDone: true, text: `${title} is already stopped.` };
  await port.close();
  const address = new URL(url).host;
  return {
    isDone: true,
    text: `${title} is stopped: ${address} refuses connections. Its data is kept. End the outage with: npm run servers -- start ${name}`,
  };
}

async function start({ title, url, port }: PlaygroundServer): Promise<Result> {
  if (port === undefined) return foreign(title);
  if (port.isOpen) return { isDone: true, text: `${title} is already running.` };
  if (await port.open()) return { isDone: true, text: `${title} runs again at ${new URL(url).host}.` };
  return {
    isDone: false,
    text: `Another program uses port ${port.port} now. Stop this program, then start ${title} again.`,
  };
}
