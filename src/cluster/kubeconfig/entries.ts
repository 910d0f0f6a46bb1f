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
  /** What a credential plugin may be told beside (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins). */
  readonly forPlugins?: { readonly disableCompression: boolean; readonly config: unknown };
}

export interface User extends UserOfLibrary {
  /** Headers; a name may come several times. */
  readonly impersonation?: readonly (readonly [name: string, value: string])[];
}

/**
 * The entries of one kubeconfig, with absolute paths. As kubectl does it, one that is of no use is as good as none: it
 * may be that of another context, such as `kubectl config set-context` leaves half-made.
 */
export function entriesOf(found: JsonObject, folder: string) {
  const part = (list: string, entry: string) => {
    const named = listIn(found, list).filter(isObject).toReversed();
    const parts = new Map(named.map((one) => [one.name, objectIn(one, entry) ?? {}]));
    return (name: string): JsonObject => parts.get(name) ?? {};
  };
  const [clusterOf, userOf] = [part('clusters', 'cluster'), part('users', 'user')];
  const options = { onInvalidEntry: ActionOnInvalid.FILTER };
  return {
    clusters: newClusters(found.clusters, options).map((it) =>
      completedCluster(it, clusterOf(it.name), folder),
    ),
    users: newUsers(found.users, options).map((it) => completedUser(it, userOf(it.name), folder)),
    contexts: newContexts(found.contexts, options),
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

/** What client-node 2.0 leaves out: `tokenFile`, paths beside the file, and most of an impersonation. */
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
    // As client-go has it: the file goes before a token that stands beside it, and may have ended since.
    const { token: _, ...others } = user;
    return {
      ...others,
      authProvider: { name: 'tokenFile', config: { tokenFile: resolve(folder, tokenFile) } },
    };
  }
  const exec: unknown = user.exec;
  if (!isObject(exec)) return user;
  // A command with a slash is a path beside the file; a bare one is looked up in PATH.
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
  // A header is bytes, of which undici makes one of each character.
  return headers.map(([header, value]) => [header, Buffer.from(value, 'utf8').toString('latin1')] as const);
}

/** What a name of a header may not have is escaped as in a URL, and so is the sign of that. */
function escapedForHeader(key: string): string {
  return [...Buffer.from(key, 'utf8')]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      if (/[-!#$&'*+.^_`|~0-9A-Za-z]/.test(character)) return character;
      return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}
