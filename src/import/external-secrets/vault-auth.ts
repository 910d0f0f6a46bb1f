import type { Json, Node } from '../node.ts';
import { accountOf, type StoreContext, storeFile } from '../store.ts';
import { noteAccount } from '../vault-settings.ts';

/** Converts `auth` of a Vault store. Returns `undefined` and adds a note if that is not possible. */
export function vaultAuth(
  auth: Node | undefined,
  context: StoreContext,
  namespace: string | undefined,
): Json | undefined {
  const { notes } = context;
  if (auth === undefined) {
    notes.lost('spec.provider.vault.auth', 'is missing', 'Write `auth` of the store by hand.');
    return undefined;
  }
  const own = auth.text('namespace')?.replace(/^\/+|\/+$/g, '');
  const above = own === undefined || own === (namespace ?? '') ? {} : { namespace: own || 'root' };
  const methods = [...Object.keys(METHODS), 'iam', 'gcp'].filter((method) => auth.has(method));
  if (methods.length > 1) {
    auth.ignore(...methods);
    notes.lost(
      auth.path,
      `names ${methods.join(' and ')}, but only one login method is allowed`,
      'Remove the others, and import the object again.',
    );
    return undefined;
  }
  for (const [method, convert] of Object.entries(METHODS)) {
    const node = auth.child(method);
    if (node === undefined) continue;
    const login = convert(node, context);
    return { ...login, ...mountPath(node, USUAL[String(login.method)]), ...above };
  }
  for (const method of ['iam', 'gcp'])
    if (auth.has(method)) {
      auth.ignore(method);
      notes.lost(
        `${auth.path}.${method}`,
        'is a login method that secretbridge does not support',
        'Create a role for secretbridge with the kubernetes, jwt or appRole method, and write `auth` by hand.',
      );
      return undefined;
    }
  notes.lost(auth.path, 'names no login method', 'Write `auth` of the store by hand.');
  return undefined;
}

type Convert = (node: Node, context: StoreContext) => Json;

const METHODS: Readonly<Record<string, Convert>> = {
  tokenSecretRef: (node, context) => ({ method: 'token', token: refer(node, 'token', context) }),
  appRole(node, context) {
    const roleRef = node.child('roleRef');
    return {
      method: 'appRole',
      roleId: roleRef === undefined ? (node.text('roleId') ?? '') : refer(roleRef, undefined, context),
      secretId: refer(node.child('secretRef'), undefined, context),
    };
  },
  kubernetes(node, context) {
    const role = node.text('role') ?? '';
    const secret = node.child('secretRef');
    const account = node.child('serviceAccountRef');
    // The Secret contains the token of another service account. Use the method `jwt`, which accepts any token at the
    // same mount.
    if (secret !== undefined && account === undefined)
      return {
        method: 'jwt',
        role,
        jwt: refer(secret, 'token', context),
        ...(node.has('mountPath') ? {} : { mountPath: 'kubernetes' }),
      };
    // If both a service account and a Secret are set, External Secrets uses the service account. So ignore the Secret.
    secret?.ignore('name', 'key', 'namespace');
    noteOwnAccount(account, role, context);
    return { method: 'kubernetes', role };
  },
  jwt(node, context) {
    const role = node.text('role') ?? '';
    const secret = node.child('secretRef');
    if (secret !== undefined) {
      node.ignore('kubernetesServiceAccountToken');
      return { method: 'jwt', role, jwt: refer(secret, undefined, context) };
    }
    const token = node.child('kubernetesServiceAccountToken');
    const audiences = token?.list('audiences') ?? [];
    token?.ignore('expirationSeconds');
    const account = token?.child('serviceAccountRef');
    const audience = account?.list('audiences')[0] ?? audiences[0] ?? 'vault';
    const file = storeFile(context.name, 'token');
    noteOwnAccount(
      account,
      role,
      context,
      ` Project a token for the audience \`${audience}\` into secretbridge's pod as ${file}.`,
    );
    return { method: 'jwt', role, jwt: { file } };
  },
  ldap: (node, context) => ({
    method: 'ldap',
    username: node.text('username') ?? '',
    password: refer(node.child('secretRef'), undefined, context),
  }),
  userPass: (node, context) => ({
    method: 'userpass',
    username: node.text('username') ?? '',
    password: refer(node.child('secretRef'), undefined, context),
  }),
  cert(node, { name, notes, object }) {
    const role = node.text('vaultRole');
    const file = (field: string, usual: string) => {
      const ref = node.child(field);
      const path = storeFile(name, usual);
      const from = `key \`${ref?.text('key') ?? usual}\` of Secret \`${object.namespace ?? ref?.text('namespace') ?? '?'}/${ref?.text('name') ?? '?'}\``;
      ref?.ignore('namespace');
      notes.changed(`${node.path}.${field}`, 'is read from a file', `Mount ${from} as ${path}.`);
      return path;
    };
    return {
      method: 'cert',
      certFile: file('clientCert', 'login.crt'),
      keyFile: file('secretRef', 'login.key'),
      ...(role === undefined ? {} : { role }),
    };
  },
};

/** The default mount of each login method. */
const USUAL: Readonly<Record<string, string>> = {
  appRole: 'approle',
  kubernetes: 'kubernetes',
  jwt: 'jwt',
  ldap: 'ldap',
  userpass: 'userpass',
  cert: 'cert',
};

function mountPath(node: Node, usual: string | undefined): Json {
  const path = (node.text('mountPath') ?? node.text('path'))?.replace(/^auth\/|^\/+|\/+$/g, '');
  return path === undefined || path === usual ? {} : { mountPath: path };
}

function refer(ref: Node | undefined, key: string | undefined, context: StoreContext): Json | undefined {
  const { secrets, object, notes } = context;
  if (ref === undefined)
    notes.lost(
      'spec.provider.vault.auth',
      'lacks a reference to a credential',
      'Write `auth` of the store by hand.',
    );
  return secrets.refer(ref, key, { namespace: object.namespace, notes }) as Json | undefined;
}

function noteOwnAccount(
  ref: Node | undefined,
  role: string,
  { object, notes }: StoreContext,
  more = '',
): void {
  const account = accountOf(ref, object.namespace);
  ref?.ignore('audiences');
  const who = account === undefined ? 'External Secrets' : `\`${account.namespace}/${account.name}\``;
  noteAccount(ref?.path ?? 'spec.provider.vault.auth', { who, role, more }, notes);
}
