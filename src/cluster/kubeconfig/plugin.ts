import { type ChildProcess, spawn } from 'node:child_process';
import type { RequestOptions } from 'node:https';
import type { Readable } from 'node:stream';
import { AppError } from '../../core/errors.ts';
import { codeOf, FILE_FAILURES } from '../../core/system-errors.ts';
import { LOG_IN, unavailable } from '../errors.ts';
import { listIn } from '../json.ts';
import type { Cluster, User } from './entries.ts';

export interface PluginOptions {
  /** How long it may run; one that hangs would otherwise be there beside the next one, and the next. */
  readonly timeoutMs: number;
  /** Of the client: what runs when that ends would keep the process from ending. */
  readonly signal: AbortSignal;
  /** Of the context, for plugins that want to know. */
  readonly cluster: Cluster | undefined;
}

/**
 * Asks a credential plugin of a kubeconfig (`exec`), by the one file of client-node that does so, and keeps what it gave
 * for as long as it is valid.
 */
export async function createPlugin({
  timeoutMs,
  signal,
  cluster,
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
      // With a group of its own, what it starts can be ended with it.
      detached: true,
    });
    // Where no more files can be opened, it has no output, and only tells of it in the next turn.
    if ((child.stdout as Readable | undefined) === undefined) {
      child.once('error', () => undefined);
      throw unavailable(`its credential plugin cannot be started: ${FILE_FAILURES.EMFILE}`);
    }
    const end = () => {
      endGroup(child);
      // What it has started itself may hold its output open, also when it has ended by itself.
      child.stdout.destroy();
      child.stderr.destroy();
    };
    over.addEventListener('abort', end, { once: true });
    // A process that is told a second time to end does so at once, and no terminal ends another group.
    process.once('exit', end);
    child.once('close', () => {
      over.removeEventListener('abort', end);
      process.off('exit', end);
    });
    return child;
  };
  // The library has no other place for how it is run.
  const fresh = () => Object.defineProperty(new ExecAuth(), 'execFn', { value: run });
  let auth = fresh();
  return async (user, into) => {
    try {
      await auth.applyAuthentication(withInfo(user, cluster, into), into);
      requireLogin(into);
    } catch (error) {
      // It keeps whatever JSON it was given, also what it can do nothing with.
      auth = fresh();
      if (error instanceof AppError) throw error;
      // What it asks may be away, which is over by itself.
      if (late?.aborted)
        throw unavailable(`its credential plugin did not end within ${timeoutMs / 1_000} s`, error);
      throw errorOfRun(user, error);
    }
  };
}

function endGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  // What it left behind on purpose, such as an agent, is not ours to end.
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // It has ended just now.
    if (!['ESRCH', 'EPERM'].includes(codeOf(error) ?? '')) throw error;
  }
}

/** https://kubernetes.io/docs/reference/access-authn-authz/authentication/#input-and-output-formats */
function withInfo(user: User, cluster: Cluster | undefined, { ca }: RequestOptions): User {
  const { exec } = user;
  const spec = {
    // That we give it no terminal it is told also where it insists on one: some do not use it.
    interactive: false,
    ...(exec.provideClusterInfo === true && cluster !== undefined ? { cluster: infoOf(cluster, ca) } : {}),
  };
  const value = JSON.stringify({ apiVersion: exec.apiVersion, kind: 'ExecCredential', spec });
  return {
    ...user,
    exec: { ...exec, env: [...listIn(exec, 'env'), { name: 'KUBERNETES_EXEC_INFO', value }] },
  };
}

function infoOf(cluster: Cluster, ca: RequestOptions['ca']): object {
  const { server, tlsServerName, skipTLSVerify, proxyUrl, forPlugins } = cluster;
  return {
    server,
    ...(tlsServerName ? { 'tls-server-name': tlsServerName } : {}),
    ...(skipTLSVerify ? { 'insecure-skip-tls-verify': true } : {}),
    ...(ca === undefined ? {} : { 'certificate-authority-data': Buffer.from(String(ca)).toString('base64') }),
    ...(proxyUrl ? { 'proxy-url': proxyUrl } : {}),
    ...(forPlugins?.disableCompression ? { 'disable-compression': true } : {}),
    config: forPlugins?.config ?? null,
  };
}

function errorOfRun({ name, exec }: User, cause: unknown): AppError {
  const about = `kubeconfig user ${name}`;
  const code = codeOf(cause) ?? '';
  const isRun = !(cause instanceof Error && 'syscall' in cause && String(cause.syscall).startsWith('spawn'));
  if (!isRun) {
    const how = exec.installHint ? ' (`installHint` in the kubeconfig says how)' : '';
    return new AppError('CREDENTIAL_MISSING', {
      about,
      detail: `its credential plugin ${exec.command} cannot be started: ${[code, FILE_FAILURES[code]].filter(Boolean).join(', ')}`,
      todo: `Install it where the service runs${how}, in a folder of PATH or with its whole path in the kubeconfig.`,
      cause,
    });
  }
  const terminal =
    exec.interactiveMode === 'Always'
      ? '; it wants a terminal (`interactiveMode: Always`), and gets none'
      : '';
  const detail = `its credential plugin failed, or gave no credential${terminal}`;
  return new AppError('CLUSTER_FORBIDDEN', { about, detail, todo: LOG_IN, cause });
}

/** Without a login we would be nobody, which an API server mostly answers with 403, as if a Role were missing. */
export function requireLogin({ headers, cert, key }: RequestOptions): void {
  const isNamed = headers !== undefined && 'Authorization' in headers;
  if (!isNamed && (cert === undefined || key === undefined))
    throw new TypeError('neither a token nor a certificate with its key was given');
}
