import { spawn } from 'node:child_process';
import type { RequestOptions } from 'node:https';
import type { Readable } from 'node:stream';
import type { User } from '@kubernetes/client-node/dist/config_types.js';
import { FILE_FAILURES } from '../core/system-errors.ts';
import { unavailable } from './errors.ts';

export interface PluginOptions {
  /** How long it may run; one that hangs would otherwise be there beside the next one, and the next. */
  readonly timeoutMs: number;
  /** Of the client: what runs when that ends would keep the process from ending. */
  readonly signal: AbortSignal;
}

/**
 * Asks a credential plugin of a kubeconfig (`exec`), by the one file of client-node that does so, and keeps what it gave
 * for as long as it is valid.
 */
export async function createPlugin({
  timeoutMs,
  signal,
}: PluginOptions): Promise<(user: User, into: RequestOptions) => Promise<void>> {
  const { ExecAuth } = await import('@kubernetes/client-node/dist/exec_auth.js');
  let late: AbortSignal | undefined;
  const run = (command: string, args: readonly string[] = [], options: object = {}) => {
    late = AbortSignal.timeout(timeoutMs);
    const over = AbortSignal.any([signal, late]);
    const child = spawn(command, args, {
      ...options,
      // Nobody answers one that asks for something: it is to see the end of its input, and not to wait.
      stdio: ['ignore', 'pipe', 'pipe'],
      signal: over,
      killSignal: 'SIGKILL',
    });
    // Where no more files can be opened, it has no output, and only tells of it in the next turn.
    if ((child.stdout as Readable | undefined) === undefined) {
      child.once('error', () => undefined);
      throw unavailable(`its credential plugin cannot be started: ${FILE_FAILURES.EMFILE}`);
    }
    // What it has started itself may hold its output open, also when it has ended by itself.
    const letGo = () => {
      child.stdout.destroy();
      child.stderr.destroy();
    };
    over.addEventListener('abort', letGo, { once: true });
    return child;
  };
  // The library has no other place for how it is run.
  const fresh = () => Object.defineProperty(new ExecAuth(), 'execFn', { value: run });
  let auth = fresh();
  return async (user, into) => {
    try {
      await auth.applyAuthentication(user, into);
      requireLogin(into);
    } catch (error) {
      // It keeps whatever JSON it was given, also what it can do nothing with.
      auth = fresh();
      if (!late?.aborted) throw error;
      // What it asks may be away, which is over by itself.
      throw unavailable(`its credential plugin did not end within ${timeoutMs / 1_000} s`, error);
    }
  };
}

/** Without a login we would be nobody, which an API server mostly answers with 403, as if a Role were missing. */
export function requireLogin({ headers, cert, key }: RequestOptions): void {
  const isNamed = headers !== undefined && 'Authorization' in headers;
  if (!isNamed && (cert === undefined || key === undefined))
    throw new TypeError('neither a token nor a certificate with its key was given');
}
