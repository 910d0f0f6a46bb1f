import { readFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { isLoopback } from '../../core/loopback.ts';
import { codeOf } from '../../core/system-errors.ts';
import { textIn } from '../json.ts';
import { parseMap } from '../yaml.ts';
import { type Cluster, type Context, entriesOf, type User } from './entries.ts';

export interface KubeconfigOptions {
  /** A file; otherwise the pod's own identity, else `KUBECONFIG`, else `~/.kube/config`. */
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where Kubernetes mounts a pod's identity. */
  readonly podIdentity?: string;
}

/** All files of a kubeconfig as one, with absolute paths; its current context and the cluster of that are there. */
export interface Kubeconfig {
  readonly clusters: readonly Cluster[];
  readonly users: readonly User[];
  readonly contexts: readonly Context[];
  readonly currentContext: string;
}

/** The name of the context that stands for the pod's own identity. */
export const POD = 'in-cluster';

const POD_IDENTITY = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Whatever is wrong with a file is CONFIG_INVALID and names the file. */
export function loadKubeconfig(options: KubeconfigOptions): Kubeconfig {
  const { env, context, podIdentity = POD_IDENTITY } = options;
  // Who names a file or a context means that, also in a pod.
  const named = options.kubeconfig !== undefined || context !== undefined;
  const pod = named ? undefined : loadPodIdentity(env, podIdentity);
  if (pod !== undefined) return pod;
  const files = filesOf(options);
  const merged = files.map(readKubeconfig).reduce(withMore, NOTHING);
  const config = { ...merged, currentContext: context ?? merged.currentContext };
  if (!config.currentContext)
    throw invalid(`${files.join(', ')} names no current context: set \`cluster.context\``);
  const cluster = clusterOf(config);
  if (cluster === undefined)
    throw invalid(`${files.join(', ')} has no context ${config.currentContext}, or not its cluster`);
  requireTls(cluster.server);
  requireUser(config, files);
  requireProxy(cluster.proxyUrl);
  return config;
}

const NOTHING: Kubeconfig = { clusters: [], users: [], contexts: [], currentContext: '' };

export function contextOf({ contexts, currentContext }: Kubeconfig): Context | undefined {
  return contexts.find(({ name }) => name === currentContext);
}

/** Of the current context, as `userOf`. */
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
  if (!host || readIfThere(tokenFile) === undefined) return undefined;
  const namespace = readIfThere(join(folder, 'namespace'))?.trim();
  return {
    clusters: [
      {
        name: POD,
        server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
        caFile: join(folder, 'ca.crt'),
        skipTLSVerify: false,
      },
    ],
    users: [{ name: POD, authProvider: { name: 'tokenFile', config: { tokenFile } } }],
    contexts: [{ name: POD, cluster: POD, user: POD, ...(namespace ? { namespace } : {}) }],
    currentContext: POD,
  };
}

function filesOf({ kubeconfig, env }: KubeconfigOptions): readonly string[] {
  if (kubeconfig !== undefined) return [kubeconfig];
  const listed = (env.KUBECONFIG ?? '').split(delimiter).filter(Boolean);
  // As kubectl does it: of several, those that are not there are passed over.
  const there = listed.length > 1 ? listed.filter((file) => readIfThere(file) !== undefined) : listed;
  if (there.length > 0) return there;
  const home = env.HOME ? join(env.HOME, '.kube', 'config') : undefined;
  if (listed.length === 0 && home !== undefined && readIfThere(home) !== undefined) return [home];
  throw invalid(
    listed.length > 0
      ? 'none of the files of KUBECONFIG is there'
      : 'there is no pod identity, no KUBECONFIG and no ~/.kube/config',
  );
}

function readKubeconfig(file: string): Kubeconfig {
  const text = readIfThere(file);
  if (text === undefined) throw invalid(`kubeconfig ${file} is not there`);
  // As kubectl has it: it may be one of several, made for what is to come.
  if (text.trim() === '') return NOTHING;
  try {
    const found = parseMap(text, { merge: true });
    if (found === undefined) throw new TypeError('not a map');
    return {
      ...entriesOf(found, dirname(resolve(file))),
      currentContext: textIn(found, 'current-context') ?? '',
    };
  } catch (cause) {
    // A message of the library may quote the file, and a kubeconfig holds tokens.
    throw invalid(`kubeconfig ${file} is not a valid kubeconfig`, cause);
  }
}

/** Of two entries with one name the first counts, across files too: kubectl's rule. */
function withMore(first: Kubeconfig, then: Kubeconfig): Kubeconfig {
  return {
    clusters: firstOfName(first.clusters, then.clusters),
    users: firstOfName(first.users, then.users),
    contexts: firstOfName(first.contexts, then.contexts),
    currentContext: first.currentContext || then.currentContext,
  };
}

function firstOfName<T extends { readonly name: string }>(first: readonly T[], then: readonly T[]): T[] {
  return [...new Map([...then.toReversed(), ...first].map((entry) => [entry.name, entry])).values()];
}

/** A token must not travel in clear; `kubectl proxy` listens on loopback without TLS. */
function requireTls(server: string): void {
  const protocol = URL.parse(server)?.protocol;
  if (protocol === 'https:' || (protocol === 'http:' && isLoopback(server))) return;
  throw invalid(`the API server's address must be https: ${server}`);
}

/** Without it we would be nobody, or have more rights than we are meant to have. */
function requireUser(config: Kubeconfig, files: readonly string[]): void {
  const named = contextOf(config)?.user;
  const user = userOf(config);
  if (named !== undefined && user === undefined)
    throw invalid(
      `${files.join(', ')} has no user ${named}, which its context ${config.currentContext} names`,
    );
  if ((user?.certFile || user?.certData) && !user.keyFile && !user.keyData)
    throw invalid(`user ${named} has a client certificate without its key`);
  const impersonation = user?.impersonation ?? [];
  if (impersonation.length > 0 && !impersonation.some(([name]) => name === 'Impersonate-User'))
    throw invalid(
      `user ${named} acts as a group, uid or extra (\`as-groups\` and the like) of nobody: name \`as\``,
    );
  // Only seen with the first request, and there it would be a matter of the token.
  const unfit = impersonation.find(([, value]) => /[^\t\x20-\x7e\x80-\xff]/.test(value));
  if (unfit !== undefined)
    throw invalid(
      `\`${unfit[0]}\` of user ${named} has characters that no header may have, such as two lines`,
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

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const code = codeOf(cause) ?? '';
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw invalid(`${file} cannot be read: ${code}`, cause);
  }
}

function invalid(detail: string, cause?: unknown): AppError {
  // `validate` knows nothing of it: it never looks at a cluster.
  const todo =
    'Name a kubeconfig that is right in `KUBECONFIG` or `cluster.kubeconfig`, and a context of it in `cluster.context`.';
  return new AppError('CONFIG_INVALID', { about: 'cluster', detail, todo, cause });
}
