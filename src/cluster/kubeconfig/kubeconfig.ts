import { readFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { isLoopback } from '../../core/loopback.ts';
import { codeOf } from '../../core/system-errors.ts';
import { parseMap, textIn } from '../json.ts';
import { type Cluster, type Context, entriesOf, type User } from './entries.ts';

export interface KubeconfigOptions {
  /** The path of a kubeconfig. Default: the pod's service account, then `KUBECONFIG`, then `~/.kube/config`. */
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The folder where Kubernetes mounts the pod's service account. */
  readonly podIdentity?: string;
}

/**
 * The merged content of all kubeconfig files, with absolute paths. The current context and its cluster are guaranteed
 * to exist.
 */
export interface Kubeconfig {
  readonly clusters: readonly Cluster[];
  readonly users: readonly User[];
  readonly contexts: readonly Context[];
  readonly currentContext: string;
}

/** The context name for the pod's service account. */
export const POD_CONTEXT = 'in-cluster';

const POD_IDENTITY = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * Loads and merges the kubeconfig files.
 * @throws AppError CONFIG_INVALID with the name of the file.
 */
export function loadKubeconfig(options: KubeconfigOptions): Kubeconfig {
  const { env, context, podIdentity = POD_IDENTITY } = options;
  // An explicit file or context takes precedence over the pod's service account.
  const isNamed = options.kubeconfig !== undefined || context !== undefined;
  const pod = isNamed ? undefined : loadPodIdentity(env, podIdentity);
  if (pod !== undefined) return pod;
  const files = filesOf(options);
  const merged = files.map(readKubeconfig).reduce(mergeKubeconfigs, EMPTY);
  const config = { ...merged, currentContext: context ?? merged.currentContext };
  if (!config.currentContext)
    throw invalid(`${files.join(', ')} has no current context: set \`cluster.context\``);
  const cluster = clusterOf(config);
  if (cluster === undefined)
    throw invalid(`${files.join(', ')} has no context ${config.currentContext}, or no cluster for it`);
  requireTls(cluster.server);
  requireUser(config, files);
  requireProxy(cluster.proxyUrl);
  return config;
}

const EMPTY: Kubeconfig = { clusters: [], users: [], contexts: [], currentContext: '' };

export function contextOf({ contexts, currentContext }: Kubeconfig): Context | undefined {
  return contexts.find(({ name }) => name === currentContext);
}

/** Returns the cluster of the current context. */
export function clusterOf(config: Kubeconfig): Cluster | undefined {
  const context = contextOf(config);
  return config.clusters.find(({ name }) => name === context?.cluster);
}

export function userOf(config: Kubeconfig): User | undefined {
  const context = contextOf(config);
  return config.users.find(({ name }) => name === context?.user);
}

/** https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
function loadPodIdentity(env: KubeconfigOptions['env'], folder: string): Kubeconfig | undefined {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env;
  const tokenFile = join(folder, 'token');
  if (!host || readIfExists(tokenFile) === undefined) return undefined;
  const namespace = readIfExists(join(folder, 'namespace'))?.trim();
  return {
    clusters: [
      {
        name: POD_CONTEXT,
        server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
        caFile: join(folder, 'ca.crt'),
        skipTLSVerify: false,
      },
    ],
    users: [{ name: POD_CONTEXT, authProvider: { name: 'tokenFile', config: { tokenFile } } }],
    contexts: [
      { name: POD_CONTEXT, cluster: POD_CONTEXT, user: POD_CONTEXT, ...(namespace ? { namespace } : {}) },
    ],
    currentContext: POD_CONTEXT,
  };
}

function filesOf({ kubeconfig, env }: KubeconfigOptions): readonly string[] {
  if (kubeconfig !== undefined) return [kubeconfig];
  const listedFiles = (env.KUBECONFIG ?? '').split(delimiter).filter(Boolean);
  // As in kubectl, missing files are skipped if several are listed.
  const existing =
    listedFiles.length > 1 ? listedFiles.filter((file) => readIfExists(file) !== undefined) : listedFiles;
  if (existing.length > 0) return existing;
  const home = env.HOME ? join(env.HOME, '.kube', 'config') : undefined;
  if (listedFiles.length === 0 && home !== undefined && readIfExists(home) !== undefined) return [home];
  throw invalid(
    listedFiles.length > 0
      ? 'none of the files in KUBECONFIG exists'
      : 'found no pod identity, no KUBECONFIG and no ~/.kube/config',
  );
}

function readKubeconfig(file: string): Kubeconfig {
  const text = readIfExists(file);
  if (text === undefined) throw invalid(`kubeconfig ${file} does not exist`);
  // As in kubectl, an empty file is valid: it may be filled later.
  if (text.trim() === '') return EMPTY;
  try {
    const document = parseMap(text, { merge: true });
    if (document === undefined) throw new TypeError('not a map');
    return {
      ...entriesOf(document, dirname(resolve(file))),
      currentContext: textIn(document, 'current-context') ?? '',
    };
  } catch (cause) {
    // The library's message may quote the file, and a kubeconfig contains tokens.
    throw invalid(`kubeconfig ${file} is not a valid kubeconfig`, cause);
  }
}

/** Merges two kubeconfigs. As in kubectl, the first entry with a name wins. */
function mergeKubeconfigs(first: Kubeconfig, second: Kubeconfig): Kubeconfig {
  return {
    clusters: firstByName(first.clusters, second.clusters),
    users: firstByName(first.users, second.users),
    contexts: firstByName(first.contexts, second.contexts),
    currentContext: first.currentContext || second.currentContext,
  };
}

function firstByName<T extends { readonly name: string }>(first: readonly T[], second: readonly T[]): T[] {
  return [...new Map([...second.toReversed(), ...first].map((entry) => [entry.name, entry])).values()];
}

/**
 * Requires https, because a token must not be sent in clear text. Plain http is allowed only on loopback, where
 * `kubectl proxy` listens.
 */
function requireTls(server: string): void {
  const protocol = URL.parse(server)?.protocol;
  if (protocol === 'https:' || (protocol === 'http:' && isLoopback(server))) return;
  throw invalid(`the API server's address must use https: ${server}`);
}

/**
 * Rejects a context whose user or user settings are incomplete. Otherwise requests would be anonymous or have more
 * permissions than intended.
 */
function requireUser(config: Kubeconfig, files: readonly string[]): void {
  const userName = contextOf(config)?.user;
  const user = userOf(config);
  if (userName !== undefined && user === undefined)
    throw invalid(
      `${files.join(', ')} has no user ${userName}, which its context ${config.currentContext} names`,
    );
  if ((user?.certFile || user?.certData) && !user.keyFile && !user.keyData)
    throw invalid(`user ${userName} has a client certificate without its key`);
  const impersonation = user?.impersonation ?? [];
  if (impersonation.length > 0 && !impersonation.some(([name]) => name === 'Impersonate-User'))
    throw invalid(
      `user ${userName} impersonates a group, uid or extra field (\`as-groups\` and similar) without a user: set \`as\``,
    );
  // Check the headers now. Otherwise the first request would fail, and its error would blame the token.
  const invalidHeader = impersonation.find(([, value]) => /[^\t\x20-\x7e\x80-\xff]/.test(value));
  if (invalidHeader !== undefined)
    throw invalid(
      `\`${invalidHeader[0]}\` of user ${userName} contains characters that are not allowed in a header, such as line breaks`,
    );
}

function requireProxy(proxy: string | undefined): void {
  if (!proxy) return;
  const { protocol, username = '', password = '' } = URL.parse(proxy) ?? {};
  if (protocol !== 'http:' && protocol !== 'https:')
    throw invalid('`proxy-url` of its cluster: only http and https proxies are supported');
  if (!isDecodable(username) || !isDecodable(password))
    throw invalid('`proxy-url` of its cluster: a `%` in its user or password is written `%25`');
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch (error) {
    if (error instanceof URIError) return false;
    throw error;
  }
}

function readIfExists(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const code = codeOf(cause) ?? '';
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw invalid(`${file} cannot be read: ${code}`, cause);
  }
}

function invalid(detail: string, cause?: unknown): AppError {
  // The general remedy of CONFIG_INVALID names `validate`, but `validate` does not check the cluster.
  const todo =
    'Set a valid kubeconfig in `KUBECONFIG` or `cluster.kubeconfig`, and one of its contexts in `cluster.context`.';
  return new AppError('CONFIG_INVALID', { subject: 'cluster', detail, remedy: todo, cause });
}
