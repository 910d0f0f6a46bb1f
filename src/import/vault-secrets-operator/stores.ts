import type { DerivedStores } from '../derived-stores.ts';
import { mountedFile } from '../identity.ts';
import { createNode, createNotes, type Json, type Notes } from '../node.ts';
import { labelOf, type Objects, type ToolObject } from '../objects.ts';
import { type SecretRefs, storeFile } from '../store.ts';
import type { Collector } from '../tool.ts';
import { addressOf } from '../vault-settings.ts';
import { type Login, loginOf, mergedSpec } from './auth.ts';
import { type Named, type NamedObjects, namedObjects } from './objects.ts';

/** The engine that an object reads, and the login that it names. */
interface EngineRef {
  readonly object: ToolObject;
  readonly authRef: string | undefined;
  readonly namespace: string | undefined;
  readonly mount: string;
  readonly kvVersion: 1 | 2;
}

/** The stores of the operator: one for each login and engine. */
export interface OperatorStores {
  /** Returns the name of the store. Returns `undefined` and adds a note to the object if it is not available. */
  find(engine: EngineRef, notes: Notes): string | undefined;
  /** Reports the VaultAuths, VaultAuthGlobals and VaultConnections. */
  report(collector: Collector): void;
}

interface Connection extends Named {
  /** Returns the settings of the connection for a store. */
  connect(store: string): Json;
}

interface Auth extends Named {
  readonly login: Login;
  readonly global: Named | undefined;
}

export function createOperatorStores(
  { toolObjects }: Objects,
  stores: DerivedStores,
  secrets: SecretRefs,
): OperatorStores {
  const connections = namedObjects(toolObjects, 'VaultConnection');
  const globals = namedObjects(toolObjects, 'VaultAuthGlobal');
  const auths = namedObjects(toolObjects, 'VaultAuth');
  const logins = new Map(auths.all.map((auth) => [auth.object, withLogin(auth, globals, secrets)]));
  const settings = new Map(connections.all.map((one) => [one.object, connectionOf(one)]));
  for (const { object, notes } of globals.all) readGlobal(object, notes);

  /** Returns the connection of a login. Adds a note to the VaultAuth if the connection is not in the input. */
  const connectionFor = ({ object, notes, login: { connectionRef } }: Auth): Connection | undefined => {
    const connection = connections.find(connectionRef, object.namespace ?? '');
    const connect = connection && settings.get(connection.object);
    if (connection === undefined)
      notes.lost(
        'spec.vaultConnectionRef',
        `VaultConnection ${connectionRef ?? 'default, in the namespace of the operator,'} is not in the input`,
        TOGETHER,
      );
    return connection && connect && { ...connection, connect };
  };

  return {
    find(engine, notes) {
      const { object, authRef } = engine;
      const named = auths.find(authRef, object.namespace ?? '');
      const auth = named && logins.get(named.object);
      if (auth === undefined) {
        const what = `VaultAuth ${authRef ?? 'default, in the namespace of the operator,'} is not in the input`;
        notes.lost('spec.vaultAuthRef', what, TOGETHER);
        return undefined;
      }
      const connection = connectionFor(auth);
      const name = connection && storeOf(engine, auth, connection, stores);
      if (name === undefined)
        notes.lost('spec.vaultAuthRef', `${labelOf(auth.object)} was not converted`, SEE);
      return name;
    },
    report(collector) {
      for (const { object, notes, users } of [...connections.all, ...globals.all, ...auths.all])
        collector.report(object, notes.findings, [...users].toSorted());
    },
  };
}

/** Returns the store of an engine. Returns `undefined` if the login or the connection was not converted. */
function storeOf(
  { object, namespace: own, mount, kvVersion }: EngineRef,
  auth: Auth,
  connection: Connection,
  stores: DerivedStores,
): string | undefined {
  if (auth.notes.incomplete || connection.notes.incomplete) return undefined;
  const { login, global } = auth;
  const namespace = (own ?? login.namespace)?.replace(/^\/+|\/+$/g, '');
  const settings = (store: string): Json => {
    const credentials = login.auth(object.namespace ?? '', store, namespace);
    return {
      kind: 'vault',
      ...connection.connect(store),
      ...(namespace === undefined ? {} : { namespace }),
      mount,
      kvVersion,
      ...(credentials === undefined ? {} : { auth: credentials }),
    };
  };
  const name = stores.use(settings, {
    preferred: `${auth.object.namespace}.${auth.object.name}.${mount.replaceAll('/', '-')}`,
    namespaces: namespacesOf(auth),
    notes: auth.notes,
    at: 'spec',
  });
  if (name === undefined || auth.notes.incomplete) return undefined;
  for (const { users } of [auth, connection, ...(global === undefined ? [] : [global])]) users.add(name);
  return name;
}

const TOGETHER = 'Import it together with this object.';
const SEE = 'See the findings of that object, and of its VaultConnection.';

function withLogin(auth: Named, globals: NamedObjects, secrets: SecretRefs): Auth {
  const { object, notes } = auth;
  const ref = createNode(object.spec, 'spec', createNotes()).child('vaultAuthGlobalRef');
  const name = ref?.text('name');
  const namespace = ref?.text('namespace') ?? object.namespace ?? '';
  const global = ref === undefined ? undefined : globals.find(name, namespace);
  if (ref !== undefined && global === undefined)
    notes.lost(
      'spec.vaultAuthGlobalRef',
      `VaultAuthGlobal ${namespace}/${name ?? 'default'} is not in the input`,
      'Import it together with this object.',
    );
  const strategy = ref?.child('mergeStrategy');
  for (const part of ['headers', 'params'])
    if (strategy?.text(part) === 'union' || strategy?.text(part) === 'replace')
      notes.changed(
        `spec.vaultAuthGlobalRef.mergeStrategy.${part}`,
        `has no effect, because ${part} are not sent`,
      );
  return { ...auth, global, login: loginOf(mergedSpec(object.spec, global?.object.spec), notes, secrets) };
}

/** A VaultAuth serves its own namespace, and the namespaces that it allows. */
function namespacesOf({ object, login: { allowedNamespaces } }: Auth): readonly string[] | undefined {
  if (allowedNamespaces.includes('*')) return undefined;
  return [...(object.namespace === undefined ? [] : [object.namespace]), ...allowedNamespaces];
}

/** Reports only the fields that the import does not know. The values count for each VaultAuth that uses the object. */
function readGlobal({ spec }: ToolObject, notes: Notes): void {
  const node = createNode(spec, 'spec', notes);
  node.ignore('allowedNamespaces', 'vaultConnectionRef', 'defaultVaultNamespace', 'defaultAuthMethod');
  node.ignore('defaultMount', 'params', 'headers', 'kubernetes', 'appRole', 'jwt', 'aws', 'gcp');
  node.finish();
}

/** Converts a VaultConnection. Returns the settings of the connection for a store. */
function connectionOf({ object, notes }: Named): ((store: string) => Json) | undefined {
  const spec = createNode(object.spec, 'spec', notes);
  const address = spec.text('address');
  const serverName = spec.text('tlsServerName');
  const secret = spec.text('caCertSecretRef');
  const path = spec.text('caCertPath');
  if (Object.keys(spec.texts('headers')).length > 0)
    notes.changed(
      'spec.headers',
      'are not sent',
      'If they are required, put a proxy in front of the store that adds them.',
    );
  if (spec.flag('skipTLSVerify'))
    notes.changed(
      'spec.skipTLSVerify',
      'secretbridge always verifies the certificate of the server',
      'Set `tls.caFile` if the certificate comes from a private authority.',
    );
  // secretbridge has its own time limit for requests.
  spec.ignore('timeout');
  spec.finish();
  if (address === undefined) {
    notes.lost('spec.address', 'is missing', 'Fix the object, and import it again.');
    return undefined;
  }
  const base = addressOf(address, 'spec.address', notes);
  if (path !== undefined)
    mountedFile('spec.caCertPath', { from: "the same file as in the operator's pod", path }, notes);
  if (secret !== undefined)
    notes.changed(
      'spec.caCertSecretRef',
      'is read from a file',
      `Mount key \`ca.crt\` of Secret \`${object.namespace}/${secret}\` into secretbridge's pod, at the path in \`tls.caFile\`.`,
    );
  return (store) => {
    const caFile = secret === undefined ? path : storeFile(store, 'ca.crt');
    const tls = {
      ...(caFile === undefined ? {} : { caFile }),
      ...(serverName === undefined ? {} : { serverName }),
    };
    return { ...base, ...(Object.keys(tls).length === 0 ? {} : { tls }) };
  };
}
