import type { Json, Node } from '../node.ts';
import { storeFile } from '../store.ts';
import { addressOf, noteAccount, splitKey } from '../vault-settings.ts';
import { objectsInText, type TextItem } from '../yaml-text.ts';
import { type ClassContext, FIX, flagOf, KEEP, type MountedFile, usersOf } from './files.ts';

/** https://developer.hashicorp.com/vault/docs/deploy/kubernetes/csi/configurations */
export function vaultFiles(parameters: Node, context: ClassContext): readonly MountedFile[] {
  const { notes, stores, defaults } = context;
  const at = parameters.path;
  const common = connectionOf(parameters, context);
  const role = parameters.text('roleName');
  const items = objectsInText(parameters.template('objects') ?? '', { at: `${at}.objects`, notes });
  if (common === undefined)
    notes.lost(
      `${at}.vaultAddress`,
      'is missing; the provider has its own default',
      'Import the object again with `--vault-address`.',
    );
  if (role === undefined) notes.lost(`${at}.roleName`, 'is missing', FIX);
  if (common === undefined || role === undefined) return [];
  const storeOf = (mount: string, kvVersion: 1 | 2) =>
    stores.use((name) => ({ kind: 'vault', ...common(name, role), mount, kvVersion }), {
      preferred: `${mount.replaceAll('/', '-')}-${role}`,
      namespaces: usersOf(context),
      notes,
      at,
    });
  if (!parameters.has('vaultAddress') && defaults.vaultAddress !== undefined)
    notes.changed(`${at}.vaultAddress`, 'is the address that `--vault-address` names');
  return items.flatMap((item) => fileOf(item, storeOf) ?? []);
}

/** Returns the settings that all stores of the class share. */
function connectionOf(
  parameters: Node,
  { object, notes, mounts, defaults }: ClassContext,
): ((name: string, role: string) => Json) | undefined {
  const at = parameters.path;
  const address = parameters.text('vaultAddress') ?? defaults.vaultAddress;
  const namespace = parameters.text('vaultNamespace')?.replace(/^\/+|\/+$/g, '');
  const mountPath = (
    parameters.text('vaultAuthMountPath') ?? parameters.text('vaultKubernetesMountPath')
  )?.replace(/^\/*(?:auth\/)?|\/+$/g, '');
  parameters.ignore('vaultKubernetesMountPath');
  const tls = tlsOf(parameters, notes);
  const audience = parameters.text('audience');
  const role = parameters.text('roleName') ?? '';
  const names = [...new Set(mounts.map(({ account }) => `\`${object.namespace}/${account}\``))];
  noteAccount(`${at}.roleName`, { who: names.length === 0 ? 'the pods' : names.join(' and '), role }, notes);
  if (audience !== undefined)
    notes.changed(
      `${at}.audience`,
      `the token for the audience \`${audience}\` is read from a file`,
      `Project a token for the audience \`${audience}\` into secretbridge's pod, at the path in \`auth.tokenFile\`.`,
    );
  if (address === undefined) return undefined;
  const base = addressOf(address, `${at}.vaultAddress`, notes);
  return (name, roleName) => ({
    ...base,
    ...(namespace === undefined ? {} : { namespace }),
    auth: {
      method: 'kubernetes',
      role: roleName,
      ...(mountPath === undefined || mountPath === 'kubernetes' ? {} : { mountPath }),
      ...(audience === undefined ? {} : { tokenFile: storeFile(name, 'token') }),
    },
    ...(tls === undefined ? {} : { tls }),
  });
}

const TLS_FILES = [
  ['vaultCACertPath', 'caFile'],
  ['vaultTLSClientCertPath', 'certFile'],
  ['vaultTLSClientKeyPath', 'keyFile'],
] as const;

function tlsOf(parameters: Node, notes: ClassContext['notes']): Json | undefined {
  const at = parameters.path;
  const tls: Record<string, string> = {};
  for (const [field, name] of TLS_FILES) {
    const path = parameters.text(field);
    if (path === undefined) continue;
    tls[name] = path;
    notes.changed(
      `${at}.${field}`,
      "is a file in the provider's pods",
      `Mount the same file into secretbridge's pod as ${path}.`,
    );
  }
  const serverName = parameters.text('vaultTLSServerName');
  if (serverName !== undefined) tls.serverName = serverName;
  if (parameters.has('vaultCADirectory'))
    notes.changed(
      `${at}.vaultCADirectory`,
      'secretbridge reads certificate authorities from one file, not from a folder',
      'Put them into one file, and set `tls.caFile`.',
    );
  if (flagOf(parameters, 'vaultSkipTLSVerify'))
    notes.changed(
      `${at}.vaultSkipTLSVerify`,
      'secretbridge always verifies the certificate of the server',
      'Set `tls.caFile` if the certificate comes from a private authority.',
    );
  parameters.ignore('vaultCADirectory');
  return Object.keys(tls).length === 0 ? undefined : tls;
}

/** Engines that create a value for each request. Their paths look like paths of a key/value engine of version 1. */
const DYNAMIC = /^[^/]+\/(?:creds|static-creds|issue|sign|sts|token|keys)\//;

type StoreOf = (mount: string, kvVersion: 1 | 2) => string | undefined;

function fileOf({ node, notes }: TextItem, storeOf: StoreOf): MountedFile | undefined {
  const at = node.path;
  const name = node.text('objectName');
  const [path = '', query = ''] = (node.text('secretPath') ?? '').replace(/^\/?(?:v1\/)?/, '').split('?');
  const key = node.text('secretKey');
  const method = node.text('method')?.toUpperCase() ?? 'GET';
  const encoding = node.text('encoding')?.toLowerCase() ?? 'utf-8';
  const hasArguments = node.has('secretArgs');
  node.ignore('secretArgs', 'filePermission');
  node.finish();
  const version = /^version=(\d+)$/.exec(query)?.[1];
  if (query !== '' && version === undefined)
    notes.lost(`${at}.secretPath`, `\`?${query}\` is not supported`, KEEP);
  if (method !== 'GET' || hasArguments || DYNAMIC.test(path))
    notes.lost(
      method === 'GET' && !hasArguments
        ? `${at}.secretPath`
        : `${at}.${hasArguments ? 'secretArgs' : 'method'}`,
      'asks Vault to create a value for each request, but secretbridge reads values that a key/value engine stores',
      'Keep this object with the driver. If it is a key/value engine, write the source by hand.',
    );
  if (key === undefined)
    notes.lost(
      `${at}.secretKey`,
      'is missing, so the file is the whole answer of Vault with its request id',
      'Name the key, or read all keys with `dataFrom`.',
    );
  if (!['utf-8', 'base64', 'hex'].includes(encoding))
    notes.lost(`${at}.encoding`, `the encoding ${encoding} is not supported`, KEEP);
  if (name === undefined) {
    notes.lost(`${at}.objectName`, 'is missing', FIX);
    return undefined;
  }
  const kvVersion = path.includes('/data/') ? 2 : 1;
  const split = splitKey(path, { mount: undefined, kvVersion });
  if (split === undefined) notes.lost(`${at}.secretPath`, 'names no mount and key', FIX);
  if (kvVersion === 1 && split !== undefined && !notes.incomplete)
    notes.changed(
      `${at}.secretPath`,
      `has no \`/data/\`, so \`${split.mount}\` is read as a key/value engine of version 1`,
      'Check it, and correct store and key if the mount has several parts.',
    );
  const store = split === undefined || notes.incomplete ? undefined : storeOf(split.mount, kvVersion);
  if (store === undefined || split === undefined || key === undefined)
    return { name, value: undefined, notes };
  const source = {
    store,
    key: split.key,
    property: key,
    ...(version === undefined ? {} : { version }),
    ...(encoding === 'utf-8' ? {} : { decode: encoding }),
  };
  return { name, value: { source }, notes };
}
