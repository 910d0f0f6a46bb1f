import { type ChildProcess, spawn } from 'node:child_process';
import type { RequestOptions } from 'node:https';
import type { Readable } from 'node:stream';
import { AppError } from '../../core/errors.ts';
import { codeOf, FILE_FAILURES } from '../../core/system-errors.ts';
import { LOGIN_REMEDY, unavailable } from '../errors.ts';
import { listIn } from '../json.ts';
import type { Cluster, User } from './entries.ts';

export interface PluginOptions {
  /** Time limit for one run. Without it, hanging plugins would pile up. */
  readonly timeoutMs: number;
  /** Aborted when the client closes. Ends a running plugin, which would keep the process from exiting. */
  readonly signal: AbortSignal;
  /** The cluster of the current context, for plugins with `provideClusterInfo`. */
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
    return startPlugin(command, args, options, AbortSignal.any([signal, timeout]));
  };
  // The library has no option for how to start the plugin, so replace the method of the library that starts it.
  const createExecAuth = () => Object.defineProperty(new ExecAuth(), 'execFn', { value: run });
  let auth = createExecAuth();
  return async (user, into) => {
    try {
      await auth.applyAuthentication(withExecInfo(user, cluster, into), into);
      requireCredentials(into);
    } catch (error) {
      // The library caches any JSON that the plugin printed, even unusable JSON. Start with an empty cache.
      auth = createExecAuth();
      if (error instanceof AppError) throw error;
      // The plugin may call a service that is down, so treat the failure as temporary.
      if (timeout?.aborted)
        throw unavailable(`the credential plugin did not end within ${timeoutMs / 1_000} s`, error);
      throw errorFromPlugin(user, error);
    }
  };
}

/** Starts a plugin without input. Aborting `stop` kills the plugin with its child processes. */
function startPlugin(command: string, args: readonly string[], options: object, stop: AbortSignal) {
  const child = spawn(command, args, {
    ...options,
    // Close the input, so that a plugin that prompts for input fails instead of waiting.
    stdio: ['ignore', 'pipe', 'pipe'],
    // Start the plugin in a process group of its own, so that its child processes can be ended too.
    detached: true,
  });
  // If no more files can be opened, the child has no output streams. The error event follows later.
  if ((child.stdout as Readable | undefined) === undefined) {
    child.once('error', () => undefined);
    throw unavailable(`cannot start the credential plugin: ${FILE_FAILURES.EMFILE}`);
  }
  const killAndClose = () => {
    killGroup(child);
    // A child process of the plugin may keep its output open after the plugin has ended.
    child.stdout.destroy();
    child.stderr.destroy();
  };
  stop.addEventListener('abort', killAndClose, { once: true });
  // A second termination signal ends this process immediately. The plugin would keep running, because the terminal does
  // not signal the process group of the plugin. So end the plugin here.
  process.once('exit', killAndClose);
  child.once('close', () => {
    stop.removeEventListener('abort', killAndClose);
    process.off('exit', killAndClose);
  });
  return child;
}

function killGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  // Do not kill the group of a plugin that has already ended. It may contain processes that the plugin started to keep
  // running, such as an agent.
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // The process group has just ended.
    if (!['ESRCH', 'EPERM'].includes(codeOf(error) ?? '')) throw error;
  }
}

/** https://kubernetes.io/docs/reference/access-authn-authz/authentication/#input-and-output-formats */
function withExecInfo(user: User, cluster: Cluster | undefined, { ca }: RequestOptions): User {
  const { exec } = user;
  const spec = {
    // Always report that there is no terminal, even with `interactiveMode: Always`. Some plugins with that mode work
    // without a terminal.
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
 * Fails if the login added no credentials. The API server would treat the request as anonymous and usually answer with
 * 403, which looks like a missing Role.
 */
export function requireCredentials({ headers, cert, key }: RequestOptions): void {
  const isNamed = headers !== undefined && 'Authorization' in headers;
  if (!isNamed && (cert === undefined || key === undefined))
    throw new TypeError('the login returned neither a token nor a certificate with its key');
}
