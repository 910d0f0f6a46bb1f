import { isObject } from '../../core/json.ts';
import { mountedFile } from '../identity.ts';
import { createNode, type Json, type Node, type Notes } from '../node.ts';

import { type SecretRefs, storeFile } from '../store.ts';
import { noteAccount } from '../vault-settings.ts';

/** The login of a VaultAuth, merged with its VaultAuthGlobal. */
export interface Login {
  readonly connectionRef: string | undefined;
  /** The namespace of Vault. */
  readonly namespace: string | undefined;
  readonly allowedNamespaces: readonly string[];
  /**
   * Returns `auth` of a store. `undefined` if the method cannot be converted.
   * @param user The namespace of the object that uses the login. Secrets with credentials are in this namespace.
   */
  auth(user: string, store: string, vaultNamespace: string | undefined): Json | undefined;
}

const METHODS = ['kubernetes', 'jwt', 'appRole', 'aws', 'gcp'];

/** Returns the spec of a VaultAuth with the defaults of its VaultAuthGlobal. */
export function mergedSpec(spec: Json, global: Json | undefined): Json {
  if (global === undefined) return spec;
  const method = spec.method ?? global.defaultAuthMethod;
  const name = String(method);
  const shared = isObject(global[name]) ? global[name] : {};
  const own = isObject(spec[name]) ? spec[name] : {};
  const { namespace, mount, params, headers, ...fields } = shared;
  return {
    ...spec,
    method,
    mount: spec.mount ?? mount ?? global.defaultMount,
    namespace: spec.namespace ?? namespace ?? global.defaultVaultNamespace,
    params: spec.params ?? params ?? global.params,
    headers: spec.headers ?? headers ?? global.headers,
    vaultConnectionRef: spec.vaultConnectionRef ?? global.vaultConnectionRef,
    [name]: { ...fields, ...own },
  };
}

/** Converts the spec of a VaultAuth. */
export function loginOf(raw: Json, notes: Notes, secrets: SecretRefs): Login {
  const spec = createNode(raw, 'spec', notes);
  const mount = spec.text('mount')?.replace(/^\/*(?:auth\/)?|\/+$/g, '');
  const namespace = spec.text('namespace')?.replace(/^\/+|\/+$/g, '');
  const connectionRef = spec.text('vaultConnectionRef');
  const allowedNamespaces = spec.list('allowedNamespaces');
  spec.child('vaultAuthGlobalRef')?.ignore('name', 'namespace', 'mergeStrategy', 'allowDefault');
  // The operator keeps tokens of its clients encrypted between restarts. secretbridge logs in again.
  spec.ignore('storageEncryption');
  for (const [field, what] of [
    ['headers', 'are not sent'],
    ['params', 'are not sent with the login'],
  ] as const)
    if (Object.keys(spec.texts(field)).length > 0)
      notes.changed(
        `spec.${field}`,
        what,
        'If the server requires them, create a login for secretbridge without them.',
      );
  const credentials = credentialsOf(spec, { notes, secrets });
  spec.finish();
  return {
    connectionRef,
    namespace,
    allowedNamespaces,
    auth(user, store, vaultNamespace) {
      const login = credentials(user, store);
      if (login === undefined) return undefined;
      return {
        ...login,
        ...(mount === undefined || mount === USUAL[String(login.method)] ? {} : { mountPath: mount }),
        ...(namespace === vaultNamespace ? {} : { namespace: namespace ?? 'root' }),
      };
    },
  };
}

/** Converts the fields of the method. Adds a note if the method has no equivalent. */
function credentialsOf(spec: Node, context: MethodContext): Credentials {
  const method = spec.text('method') ?? METHODS.find((name) => spec.has(name));
  const node = method === undefined ? undefined : spec.child(method);
  spec.ignore(...METHODS);
  const convert = method !== undefined && Object.hasOwn(CONVERT, method) ? CONVERT[method] : undefined;
  if (convert !== undefined && node !== undefined) return convert(node, context);
  const isUnknown = method !== undefined && convert === undefined;
  node?.ignore(...node.names());
  context.notes.lost(
    method === undefined ? 'spec.method' : `spec.${method}`,
    isUnknown ? 'is a login method that secretbridge does not support' : 'is missing',
    'Create a role for secretbridge with the kubernetes, jwt or appRole method, and write `auth` by hand.',
  );
  return () => undefined;
}

const USUAL: Readonly<Record<string, string>> = { kubernetes: 'kubernetes', jwt: 'jwt', appRole: 'approle' };

interface MethodContext {
  readonly notes: Notes;
  readonly secrets: SecretRefs;
}

type Credentials = (user: string, store: string) => Json | undefined;

const CONVERT: Readonly<Record<string, (node: Node, context: MethodContext) => Credentials>> = {
  kubernetes(node, { notes }) {
    const role = accountRole(node, notes);
    node.ignore('audiences');
    return () => ({ method: 'kubernetes', role });
  },
  jwt(node, { notes, secrets }) {
    const secret = node.text('secretRef');
    if (secret !== undefined) {
      const role = node.text('role') ?? '';
      node.ignore('serviceAccount', 'audiences', 'tokenExpirationSeconds');
      return (user) => credential({ secret, key: 'jwt', user, field: 'jwt', role, node }, { notes, secrets });
    }
    const audience = node.list('audiences')[0] ?? 'vault';
    const role = accountRole(node, notes);
    notes.changed(
      `${node.path}.audiences`,
      'the token is read from a file',
      `Project a token for the audience \`${audience}\` into secretbridge's pod, at the path in \`auth.jwt\`.`,
    );
    return (_, store) => ({ method: 'jwt', role, jwt: { file: storeFile(store, 'token') } });
  },
  appRole(node, { notes, secrets }) {
    const roleId = node.text('roleId') ?? '';
    const path = node.text('secretIDPath');
    const secret = node.text('secretRef');
    if (path !== undefined) {
      const file = mountedFile(
        `${node.path}.secretIDPath`,
        { from: "the same file as in the operator's pod", path },
        notes,
      );
      return () => ({ method: 'appRole', roleId, secretId: { file } });
    }
    return (user) => {
      const secretId = refer({ secret, key: 'id', user, node }, { notes, secrets });
      return secretId === undefined ? undefined : { method: 'appRole', roleId, secretId };
    };
  },
};

function accountRole(node: Node, notes: Notes): string {
  const role = node.text('role') ?? '';
  const account = node.text('serviceAccount');
  node.ignore('tokenExpirationSeconds');
  const who = account === undefined ? 'the operator' : `service account \`${account}\` of each namespace`;
  noteAccount(`${node.path}.serviceAccount`, { who, role }, notes);
  return role;
}

interface CredentialRef {
  readonly secret: string | undefined;
  readonly key: string;
  readonly user: string;
  readonly node: Node;
}

function credential(
  ref: CredentialRef & { readonly field: string; readonly role: string },
  context: MethodContext,
): Json | undefined {
  const value = refer(ref, context);
  return value === undefined ? undefined : { method: 'jwt', role: ref.role, [ref.field]: value };
}

function refer({ secret, key, user, node }: CredentialRef, { notes, secrets }: MethodContext): unknown {
  const ref = createNode({ name: secret, key }, `${node.path}.secretRef`, notes);
  return secrets.refer(ref, undefined, { namespace: user, notes });
}
