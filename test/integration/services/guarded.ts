import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { PortClash } from './free-port.ts';
import { type Lifetime, ServiceError } from './service.ts';

export interface Command {
  name: string;
  command: string;
  args: readonly string[];
  env: NodeJS.ProcessEnv;
  cwd?: string;
  /** Whether the process is expected to exit, for example after preparing a server. */
  ends?: boolean;
  /** The path of the output file. By default, the file is in the guard's folder. */
  log?: string;
}

/** A started process. `end` describes how the process exited, and is undefined while the process runs. */
export interface GuardedProcess {
  readonly name: string;
  readonly end: string | undefined;
  readonly ended: Promise<Exit>;
  output(): Promise<string>;
}

export type Exit = { status: number | null; signal: string | null } | { error: string };

/** Owns a folder and processes. Ends the processes and removes the folder on close, and when this process dies. */
export interface Guard {
  readonly folder: string;
  /** Resolves when a process exits unexpectedly before the guard is closed. The value describes the exit. */
  readonly unexpectedExit: Promise<string>;
  start(command: Command): GuardedProcess;
  close(): Promise<void>;
}

const SCRIPT = fileURLToPath(new URL('guard.js', import.meta.url));

export async function openTemporaryGuard(name: string): Promise<Guard> {
  return openGuard(await mkdtemp(join(tmpdir(), `secretbridge-${name}-`)));
}

/** Starts a server with a guard of its own. The guard closes when the server stops or fails to start. */
export async function startGuarded<Server extends object>(
  name: string,
  launch: (guard: Guard) => Promise<Server>,
): Promise<Server & Lifetime> {
  const guard = await openTemporaryGuard(name);
  try {
    return {
      ...(await launch(guard)),
      borrowed: false,
      unexpectedExit: guard.unexpectedExit,
      stop: guard.close,
      [Symbol.asyncDispose]: guard.close,
    };
  } catch (error) {
    await guard.close();
    throw error;
  }
}

export function openGuard(folder: string): Guard {
  // The guard is detached, so Ctrl-C in the terminal reaches the run first.
  const child = spawn(process.execPath, [SCRIPT, folder], {
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  // A write can fail when the guard has died. The exit handler below reports the death.
  child.stdin.on('error', () => {});

  const exited = once(child, 'exit');
  const handlers = new Map<number, (exit: Exit) => void>();
  const unexpectedExitPromise = Promise.withResolvers<string>();
  let closing = false;
  let started = 0;

  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = JSON.parse(line) as { id: number; pid?: number } & Exit;
    if (message.pid === undefined) handlers.get(message.id)?.(message);
  });
  const endAll = (): void => {
    for (const handle of handlers.values()) handle({ error: 'its guard was killed' });
  };
  void exited.then(endAll, endAll);

  return {
    folder,
    unexpectedExit: unexpectedExitPromise.promise,
    start({ name, command, args, env, cwd = folder, ends = false, log = join(folder, `${name}.log`) }) {
      const id = started++;
      const ended = Promise.withResolvers<Exit>();
      let end: string | undefined;
      handlers.set(id, (exit) => {
        handlers.delete(id);
        end = describeExit(name, exit);
        if (!closing && !ends) unexpectedExitPromise.resolve(end);
        ended.resolve(exit);
      });
      child.stdin.write(`${JSON.stringify({ id, command, args, env, cwd, log })}\n`);
      return {
        name,
        ended: ended.promise,
        get end() {
          return end;
        },
        output: () => readFile(log, 'utf8'),
      };
    },
    async close() {
      closing = true;
      child.stdin.end();
      if (child.exitCode === null && child.signalCode === null) await exited;
    },
  };
}

/** Throws when the process exited during its start. */
export async function assertStarting(process: GuardedProcess): Promise<void> {
  if (process.end === undefined) return;
  const output = await process.output();
  if (output.includes('address already in use')) throw new PortClash(process.end);
  // Closing the guard removes the log file, so the message contains its last lines.
  throw new ServiceError(`${process.end}\n${output.trimEnd().split('\n').slice(-5).join('\n')}`);
}

/** Whether a starting server has written its complete certificate. */
export async function isCertificateThere(process: GuardedProcess, path: string): Promise<boolean> {
  await assertStarting(process);
  return existsSync(path) && (await readFile(path, 'utf8')).trimEnd().endsWith('-----END CERTIFICATE-----');
}

function describeExit(name: string, exit: Exit): string {
  if ('error' in exit) return `${name} could not run: ${exit.error}.`;
  if (exit.signal !== null) return `${name} was ended by ${exit.signal}.`;
  return `${name} ended with status ${exit.status}.`;
}
