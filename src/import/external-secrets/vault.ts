import type { Json, Node, Notes } from '../node.ts';
import { type Store, type StoreContext, storeFile } from '../store.ts';
import { addressOf, splitKey } from '../vault-settings.ts';
import { vaultAuth } from './vault-auth.ts';

/**
 * Converts stores of HashiCorp Vault and OpenBao. If a store names no mount, its keys start with the mount. Such a
 * store becomes one store for each mount. https://external-secrets.io/latest/provider/hashicorp-vault/
 */
export function vaultStore(vault: Node, context: StoreContext): Store | undefined {
  const mount = vault.text('path')?.replace(/^\/+|\/+$/g, '');
  const kvVersion = vault.text('version') === 'v1' ? 1 : 2;
  const common = connectionOf(vault, kvVersion, context);
  return common && mountedStore(common, { mount, kvVersion }, context);
}

/** Returns the fields that all stores of one server share. */
function connectionOf(vault: Node, kvVersion: 1 | 2, context: StoreContext): Json | undefined {
  const { notes } = context;
  const server = vault.text('server');
  const namespace = vault.text('namespace')?.replace(/^\/+|\/+$/g, '');
  const tls = tlsOf(vault, context);
  const auth = vaultAuth(vault.child('auth'), context, namespace);
  // Ignore this field, because it applies only to writes, and secretbridge never writes.
  vault.ignore('checkAndSet');
  noteDifferences(vault, notes);
  if (server === undefined) {
    notes.lost(`${vault.path}.server`, 'is missing', 'Fix the object, and import it again.');
    return undefined;
  }
  return {
    kind: 'vault',
    ...addressOf(server, `${vault.path}.server`, notes),
    ...(namespace === undefined ? {} : { namespace }),
    kvVersion,
    ...(auth === undefined ? {} : { auth }),
    ...(tls === undefined ? {} : { tls }),
  };
}

function noteDifferences(vault: Node, notes: Notes): void {
  for (const field of ['readYourWrites', 'forwardInconsistent'])
    if (vault.flag(field))
      notes.changed(
        `${vault.path}.${field}`,
        'is always the case with OpenBao; a Vault Enterprise standby that lags may return an older version',
      );
  if (Object.keys(vault.texts('headers')).length > 0)
    notes.changed(
      `${vault.path}.headers`,
      'are not sent',
      'If they are required, put a proxy in front of the store that adds them.',
    );
}

/** Creates the store for the given mount. Without a mount, creates one store for each mount that the keys name. */
function mountedStore(
  common: Json,
  { mount, kvVersion }: { readonly mount: string | undefined; readonly kvVersion: 1 | 2 },
  { name, names }: StoreContext,
): Store {
  const mounts = new Map<string, string>();
  const nameOf = (at: string) => {
    const existing = mounts.get(at);
    if (existing !== undefined) return existing;
    const storeName = mount === undefined ? names.take(`${name}.${at}`, `${name} ${at}`) : name;
    mounts.set(at, storeName);
    return storeName;
  };
  if (mount !== undefined) nameOf(mount);
  return {
    kind: 'vault',
    name,
    kvVersion,
    place(key, about, at) {
      const place = splitKey(key, { mount, kvVersion });
      if (place === undefined) {
        about.lost(
          at,
          `the key \`${key}\` contains no mount, and the store names none`,
          'Find the mount, and write the source by hand.',
        );
        return undefined;
      }
      if (place.guessed)
        about.changed(
          at,
          `the store names no mount, so the first part of \`${key}\` is used as the mount`,
          'Check it, and correct store and key if the mount has several parts.',
        );
      return { store: nameOf(place.mount), key: place.key };
    },
    searched: mount === undefined ? undefined : nameOf(mount),
    // `splitKey` needs a complete key, so append a letter to the path and remove it afterwards.
    searchPath: (path) =>
      mount === undefined ? path : (splitKey(`${path}x`, { mount, kvVersion })?.key.slice(0, -1) ?? path),
    storeConfigs: () => [...mounts].map(([at, named]) => ({ name: named, ...common, mount: at })),
  };
}

function tlsOf(vault: Node, { name, notes, object }: StoreContext): Json | undefined {
  const files: Record<string, string> = {};
  const bundle = vault.text('caBundle');
  const provider = vault.child('caProvider');
  if (bundle !== undefined || provider !== undefined) {
    files.caFile = storeFile(name, 'ca.crt');
    const from =
      provider === undefined
        ? `the base64 text at \`${vault.path}.caBundle\` of the ${object.kind}, decoded,`
        : `key \`${provider.text('key') ?? 'ca.crt'}\` of ${provider.text('type') ?? 'Secret'} \`${object.namespace ?? provider.text('namespace') ?? '?'}/${provider.text('name') ?? '?'}\``;
    provider?.ignore('namespace');
    notes.changed(
      `${vault.path}.${provider === undefined ? 'caBundle' : 'caProvider'}`,
      'the certificate authority is read from a file',
      `Mount ${from} as ${files.caFile}.`,
    );
  }
  const client = vault.child('tls');
  for (const [field, file, usual] of [
    ['certSecretRef', 'certFile', 'tls.crt'],
    ['keySecretRef', 'keyFile', 'tls.key'],
  ] as const) {
    const ref = client?.child(field);
    if (ref === undefined) continue;
    files[file] = storeFile(name, usual);
    notes.changed(
      ref.path,
      'is read from a file',
      `Mount key \`${ref.text('key') ?? usual}\` of Secret \`${object.namespace ?? ref.text('namespace') ?? '?'}/${ref.text('name') ?? '?'}\` as ${files[file]}.`,
    );
    ref.ignore('namespace');
  }
  return Object.keys(files).length === 0 ? undefined : files;
}
