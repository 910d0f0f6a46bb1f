import { readFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import type * as k8s from '@kubernetes/client-node';
import { parse } from 'yaml';
import { AppError } from '../core/errors.ts';
import { isLoopback } from '../core/loopback.ts';
import { isObject, type JsonObject, listIn, objectIn, textIn } from './json.ts';

export interface KubeconfigOptions {
  /** A file; otherwise the pod's own identity, else `KUBECONFIG`, else `~/.kube/config`. */
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where Kubernetes mounts a pod's identity. */
  readonly podIdentity?: string;
}

/** The name of the context that stands for the pod's own identity. */
export const POD = 'in-cluster';

const POD_IDENTITY = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Fills an empty KubeConfig. Whatever is wrong with a file is CONFIG_INVALID and names the file. */
export function loadKubeconfig(into: k8s.KubeConfig, options: KubeconfigOptions): void {
  const { env, context, podIdentity = POD_IDENTITY } = options;
  // Who names a file or a context means that, also in a pod.
  const named = options.kubeconfig !== undefined || context !== undefined;
  if (!named && loadPodIdentity(into, env, podIdentity)) return;
  const files = filesOf(options);
  for (const file of files) addFile(into, file);
  if (context !== undefined) into.setCurrentContext(context);
  if (!into.currentContext)
    throw invalid(`${files.join(', ')} names no current context: set \`cluster.context\``);
  const cluster = into.getCurrentCluster();
  if (cluster === null)
    throw invalid(`${files.join(', ')} has no context ${into.currentContext}, or not its cluster`);
  requireTls(cluster.server);
}

/** https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
function loadPodIdentity(into: k8s.KubeConfig, env: KubeconfigOptions['env'], folder: string): boolean {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env;
  const tokenFile = join(folder, 'token');
  if (!host || readIfThere(tokenFile) === undefined) return false;
  const namespace = readIfThere(join(folder, 'namespace'))?.trim();
  into.loadFromOptions({
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
  });
  return true;
}

function filesOf({ kubeconfig, env }: KubeconfigOptions): readonly string[] {
  if (kubeconfig !== undefined) return [kubeconfig];
  const listed = (env.KUBECONFIG ?? '').split(delimiter).filter(Boolean);
  // As kubectl does it: of several, those that are not there are passed over.
  const there = listed.length > 1 ? listed.filter((file) => readIfThere(file) !== undefined) : listed;
  if (there.length > 0) return there;
  const home = env.HOME ? join(env.HOME, '.kube', 'config') : undefined;
  if (listed.length === 0 && home !== undefined && readIfThere(home) !== undefined) return [home];
  throw invalid('there is no pod identity, no KUBECONFIG and no ~/.kube/config');
}

/** Of two entries with one name the first counts, across files too: kubectl's rule. */
function addFile(into: k8s.KubeConfig, file: string): void {
  const text = readIfThere(file);
  if (text === undefined) throw invalid(`kubeconfig ${file} is not there`);
  const { clusters, users, contexts, currentContext } = into;
  try {
    into.loadFromString(text);
    into.makePathsAbsolute(dirname(resolve(file)));
    into.users = into.users.map((user) => completed(user, userIn(text, user.name), dirname(resolve(file))));
  } catch (cause) {
    // The parser's message quotes the file, and a kubeconfig holds tokens.
    throw invalid(`kubeconfig ${file} is not a valid kubeconfig`, cause);
  }
  into.clusters = firstOfName(clusters, into.clusters).map(withHttp);
  into.users = firstOfName(users, into.users);
  into.contexts = firstOfName(contexts, into.contexts);
  if (currentContext) into.setCurrentContext(currentContext);
}

function firstOfName<T extends { readonly name: string }>(first: readonly T[], then: readonly T[]): T[] {
  return [...new Map([...then, ...first].map((entry) => [entry.name, entry])).values()];
}

/** What client-node 2.0 leaves out: `tokenFile`, and the variable that plugins of the v1 protocol insist on. */
function completed(user: k8s.User, raw: JsonObject, folder: string): k8s.User {
  const tokenFile = textIn(raw, 'tokenFile');
  if (tokenFile !== undefined) {
    return {
      ...user,
      authProvider: { name: 'tokenFile', config: { tokenFile: resolve(folder, tokenFile) } },
    };
  }
  const exec: unknown = user.exec;
  if (!isObject(exec)) return user;
  const info = { apiVersion: exec.apiVersion, kind: 'ExecCredential', spec: { interactive: false } };
  const env = [...listIn(exec, 'env'), { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) }];
  // A command with a slash is a path beside the file; a bare one is looked up in PATH.
  const command = textIn(exec, 'command') ?? '';
  return {
    ...user,
    exec: { ...exec, env, command: command.includes('/') ? resolve(folder, command) : command },
  };
}

function userIn(text: string, name: string): JsonObject {
  const config: unknown = parse(text);
  const users = isObject(config) ? listIn(config, 'users').filter(isObject) : [];
  return objectIn(users.find((user) => user.name === name) ?? {}, 'user') ?? {};
}

/** client-node takes no plain http unless verification is off; whether we do is for `requireTls` to say. */
function withHttp(cluster: k8s.Cluster): k8s.Cluster {
  return cluster.server.startsWith('http:') ? { ...cluster, skipTLSVerify: true } : cluster;
}

/** A token must not travel in clear; `kubectl proxy` listens on loopback without TLS. */
function requireTls(server: string): void {
  const protocol = URL.parse(server)?.protocol;
  if (protocol === 'https:' || (protocol === 'http:' && isLoopback(server))) return;
  throw invalid(`the API server's address must be https: ${server}`);
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
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
