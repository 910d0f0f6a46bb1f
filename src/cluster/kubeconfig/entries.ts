import { resolve } from 'node:path';
import {
  ActionOnInvalid,
  type Cluster as ClusterOfLibrary,
  type Context,
  newClusters,
  newContexts,
  newUsers,
  type User as UserOfLibrary,
} from '@kubernetes/client-node/dist/config_types.js';
import { isObject, type JsonObject } from '../../core/json.ts';
import { listIn, objectIn, textIn } from '../json.ts';

export type { Context };

export interface Cluster extends ClusterOfLibrary {
  /**
   * Cluster fields that only a credential plugin receives
   * (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins).
   */
  readonly forPlugins?: { readonly disableCompression: boolean; readonly config: unknown };
}

export interface User extends UserOfLibrary {
  /** Impersonation headers. A header name may occur several times. */
  readonly impersonation?: readonly (readonly [name: string, value: string])[];
}

/**
 * Returns the entries of one kubeconfig, with absolute paths. As in kubectl, invalid entries are ignored, because they
 * may belong to an unused context. For example, `kubectl config set-context` can create an incomplete context.
 */
export function entriesOf(document: JsonObject, folder: string) {
  const part = (list: string, entry: string) => {
    const entries = listIn(document, list).filter(isObject).toReversed();
    const parts = new Map(entries.map((namedEntry) => [namedEntry.name, objectIn(namedEntry, entry) ?? {}]));
    return (name: string): JsonObject => parts.get(name) ?? {};
  };
  const [clusterOf, userOf] = [part('clusters', 'cluster'), part('users', 'user')];
  const options = { onInvalidEntry: ActionOnInvalid.FILTER };
  return {
    clusters: newClusters(document.clusters, options).map((cluster) =>
      completedCluster(cluster, clusterOf(cluster.name), folder),
    ),
    users: newUsers(document.users, options).map((user) => completedUser(user, userOf(user.name), folder)),
    contexts: newContexts(document.contexts, options),
  };
}

function completedCluster(
  { caFile, ...cluster }: ClusterOfLibrary,
  raw: JsonObject,
  folder: string,
): Cluster {
  const extension = listIn(raw, 'extensions')
    .filter(isObject)
    .find(({ name }) => name === 'client.authentication.k8s.io/exec');
  return {
    ...cluster,
    ...(caFile ? { caFile: resolve(folder, caFile) } : {}),
    forPlugins: {
      disableCompression: raw['disable-compression'] === true,
      config: extension?.extension,
    },
  };
}

/** Adds the parts that client-node 2.0 ignores: `tokenFile`, relative paths, and most impersonation fields. */
function completedUser(parsed: UserOfLibrary, raw: JsonObject, folder: string): User {
  const { certFile, keyFile, ...rest } = parsed;
  const user: User = {
    ...rest,
    ...(certFile ? { certFile: resolve(folder, certFile) } : {}),
    ...(keyFile ? { keyFile: resolve(folder, keyFile) } : {}),
    impersonation: impersonationOf(raw),
  };
  const tokenFile = textIn(raw, 'tokenFile');
  if (tokenFile) {
    // As in client-go, a token file takes precedence over an inline token, which may have expired.
    const { token: _, ...others } = user;
    return {
      ...others,
      authProvider: { name: 'tokenFile', config: { tokenFile: resolve(folder, tokenFile) } },
    };
  }
  const exec: unknown = user.exec;
  if (!isObject(exec)) return user;
  // A command with a slash is a path relative to the kubeconfig. Any other command is looked up in PATH.
  const command = textIn(exec, 'command') ?? '';
  return { ...user, exec: { ...exec, command: command.includes('/') ? resolve(folder, command) : command } };
}

/** https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/ */
function impersonationOf(raw: JsonObject): NonNullable<User['impersonation']> {
  const texts = (values: unknown) => (Array.isArray(values) ? values.map(String) : []);
  const name = textIn(raw, 'as');
  const uid = textIn(raw, 'as-uid');
  const extra = Object.entries(objectIn(raw, 'as-user-extra') ?? {});
  const headers = [
    ...(name ? [['Impersonate-User', name] as const] : []),
    ...(uid ? [['Impersonate-Uid', uid] as const] : []),
    ...texts(raw['as-groups']).map((group) => ['Impersonate-Group', group] as const),
    ...extra.flatMap(([key, values]) =>
      texts(values).map((value) => [`Impersonate-Extra-${escapedForHeader(key)}`, value] as const),
    ),
  ];
  // A header consists of bytes; undici writes one byte for each character.
  return headers.map(([header, value]) => [header, Buffer.from(value, 'utf8').toString('latin1')] as const);
}

/** Percent-encodes characters that a header name must not contain, and `%` itself. */
function escapedForHeader(key: string): string {
  return [...Buffer.from(key, 'utf8')]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      if (/[-!#$&'*+.^_`|~0-9A-Za-z]/.test(character)) return character;
      return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}
