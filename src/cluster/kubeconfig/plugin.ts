import { type ChildProcess, spawn } from 'node:child_process';
import type { RequestOptions } from 'node:https';
import type { Readable } from 'node:stream';
import { AppError } from '../../core/errors.ts';
import { codeOf, FILE_FAILURES } from '../../core/system-errors.ts';
import { LOGIN_REMEDY, unavailable } from '../errors.ts';
import { listIn } from '../json.ts';
import type { Cluster, User } from './entries.ts';

export interface PluginOptions {
  /** Time limit for one run. Otherwise hanging plugins would pile up. */
  readonly timeoutMs: number;
  /** Aborted when the client closes. A running plugin would keep the process from ending. */
  readonly signal: AbortSignal;
  /** The cluster of the context, for plugins with `provideClusterInfo`. */
  readonly cluster: Cluster | undefined;
}

/**
 * Runs a credential plugin of a kubeconfig (`exec`) through client-node's exec module, and keeps its credential while
 * it is valid.
 */
export async function createPlugin({
  timeoutMs,
  signal,
  cluster,
}: PluginOptions): Promise<(user: User, into: RequestOptions) => Promise<void>> {
  const { ExecAuth } = await import('@kubernetes/client-node/dist/exec_auth.js');
  let timeout: AbortSignal | undefined;
  const run = (command: string, args: readonly string[] = [], options: object = {}) => {
    timeout = AbortSignal.timeout(timeoutMs);
    const stop = AbortSignal.any([signal, timeout]);
    const child = spawn(command, args, {
      ...options,
      // A plugin that prompts for input sees the end of its input instead of waiting.
      stdio: ['ignore', 'pipe', 'pipe'],
      // A process group of its own lets us end the plugin's child processes too.
      detached: true,
    });
    // If no more files can be opened, the child has no output, and the error event follows later.
    if ((child.stdout as Readable | undefined) === undefined) {
      child.once('error', () => undefined);
      throw unavailable(`cannot start the credential plugin: ${FILE_FAILURES.EMFILE}`);
    }
    const killAndClose = () => {
      killGroup(child);
      // A child process of the plugin may hold its output open after the plugin ended.
      child.stdout.destroy();
      child.stderr.destroy();
    };
    stop.addEventListener('abort', killAndClose, { once: true });
    // A second termination signal ends this process at once, and the terminal does not signal other process groups.
    process.once('exit', killAndClose);
    child.once('close', () => {
      stop.removeEventListener('abort', killAndClose);
      process.off('exit', killAndClose);
    });
    return child;
  };
  // The library offers no other way to set how the plugin is started.
  const createExecAuth = () => Object.defineProperty(new ExecAuth(), 'execFn', { value: run });
  let auth = createExecAuth();
  return async (user, into) => {
    try {
      await auth.applyAuthentication(withExecInfo(user, cluster, into), into);
      requireCredentials(into);
    } catch (error) {
      // The library caches any JSON that the plugin printed, even if it is unusable.
      auth = createExecAuth();
      if (error instanceof AppError) throw error;
      // The service behind the plugin may be down, so the failure is temporary.
      if (timeout?.aborted)
        throw unavailable(`the credential plugin did not end within ${timeoutMs / 1_000} s`, error);
      throw errorFromPlugin(user, error);
    }
  };
}

function killGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  // If the plugin has ended, leave processes that it started on purpose, such as an agent.
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // The process has just ended.
    if (!['ESRCH', 'EPERM'].includes(codeOf(error) ?? '')) throw error;
  }
}

/** https://kubernetes.io/docs/reference/access-authn-authz/authentication/#input-and-output-formats */
function withExecInfo(user: User, cluster: Cluster | undefined, { ca }: RequestOptions): User {
  const { exec } = user;
  const spec = {
    // Always report that there is no terminal, even with `interactiveMode: Always`. Some plugins do not need one.
    interactive: false,
    ...(exec.provideClusterInfo === true && cluster !== undefined
      ? { cluster: clusterInfoOf(cluster, ca) }
      : {}),
  };
  const value = JSON.stringify({ apiVersion: exec.apiVersion, kind: 'ExecCredential', spec });
  return {
    ...user,
    exec: { ...exec, env: [...listIn(exec, 'env'), { name: 'KUBERNETES_EXEC_INFO', value }] },
  };
}

function clusterInfoOf(cluster: Cluster, ca: RequestOptions['ca']): object {
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

function errorFromPlugin({ name, exec }: User, cause: unknown): AppError {
  const subject = `kubeconfig user ${name}`;
  const code = codeOf(cause) ?? '';
  const wasStarted = !(
    cause instanceof Error &&
    'syscall' in cause &&
    String(cause.syscall).startsWith('spawn')
  );
  if (!wasStarted) {
    const installHint = exec.installHint ? ' (`installHint` in the kubeconfig says how)' : '';
    return new AppError('CREDENTIAL_MISSING', {
      subject,
      detail: `cannot start the credential plugin ${exec.command}: ${[code, FILE_FAILURES[code]].filter(Boolean).join(', ')}`,
      remedy: `Install it where the service runs${installHint}, in a folder of PATH or with its full path in the kubeconfig.`,
      cause,
    });
  }
  const terminal =
    exec.interactiveMode === 'Always'
      ? '; it requires a terminal (`interactiveMode: Always`), which is not available'
      : '';
  const detail = `the credential plugin failed, or returned no credential${terminal}`;
  return new AppError('CLUSTER_FORBIDDEN', { subject, detail, remedy: LOGIN_REMEDY, cause });
}

/**
 * Without credentials the request would be anonymous. An API server usually answers with 403, as if a Role were
 * missing.
 */
export function requireCredentials({ headers, cert, key }: RequestOptions): void {
  const isNamed = headers !== undefined && 'Authorization' in headers;
  if (!isNamed && (cert === undefined || key === undefined))
    throw new TypeError('the login returned neither a token nor a certificate with its key');
}
