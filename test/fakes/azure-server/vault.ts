import type { Objects, Version } from './objects.ts';

export interface Reply {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A JSON Web Key as text, because a text keeps the order of its members. */
export type Jwk = string;
/** A certificate as DER. */
export type Cer = Uint8Array;

export interface VaultContents {
  readonly secrets: Objects<string>;
  readonly keys: Objects<Jwk>;
  readonly certificates: Objects<Cer>;
}

export interface VaultSettings {
  /** The address of the vault. */
  readonly address: string;
  /** The inner code of the 403 for a secret that was disabled and then deleted. Default: `SecretDisabled`. */
  readonly deletedDisabled?: 'SecretDisabled' | 'AccessDenied';
}

const PAGE_SIZE = 25;

/**
 * Returns the answer of Key Vault to a GET request with a valid token. https://learn.microsoft.com/rest/api/keyvault/
 */
export function answerVault(
  contents: VaultContents,
  { address, deletedDisabled = 'SecretDisabled' }: VaultSettings,
  url: URL,
): Reply {
  const [collection = '', name = '', version = ''] = decodeURIComponent(url.pathname).split('/').slice(1);
  const kind = collection.replace(/^deleted/, '');
  if (!isKind(kind)) return failure(404, 'ResourceNotFound');
  const isDeleted = collection.startsWith('deleted');
  if (name === '') return isDeleted ? failure(400, 'BadParameter') : list(contents, kind, address, url);
  if (!/^[0-9a-zA-Z-]{1,127}$/.test(name)) return failure(400, 'BadParameter');
  const objects: Objects<string | Uint8Array> = contents[kind];
  const stored = isDeleted
    ? objects.getDeleted(name)
    : objects.get(name, version === '' ? undefined : version);
  if (stored === undefined) return failure(404, `${SINGULAR[kind]}NotFound`);
  // A disabled key or certificate can still be read. A disabled secret cannot be read, even after its deletion.
  if (stored.options.enabled === false && kind === 'secrets')
    return failure(403, 'Forbidden', isDeleted ? deletedDisabled : 'SecretDisabled');
  const id = `${address}/${kind}/${objects.nameOf(name)}/${stored.id}`;
  return isDeleted
    ? bundle(kind, id, stored, { recoveryId: `${address}/${collection}/${name}` })
    : bundle(kind, id, stored);
}

const SINGULAR = { secrets: 'Secret', keys: 'Key', certificates: 'Certificate' } as const;
type Kind = keyof typeof SINGULAR;

function isKind(text: string): text is Kind {
  return Object.hasOwn(SINGULAR, text);
}

function bundle(
  kind: Kind,
  id: string,
  stored: Version<string | Uint8Array>,
  deleted?: { readonly recoveryId: string },
): Reply {
  const { content, options } = stored;
  const attributes = attributesOf(stored);
  const rest = { attributes, ...(options.tags === undefined ? {} : { tags: options.tags }) };
  const recovery = deleted === undefined ? {} : { ...deleted, deletedDate: 1, scheduledPurgeDate: 2 };
  if (kind === 'keys') {
    const key = `{"kid":${JSON.stringify(id)},${String(content).slice(1)}`;
    return json(`{"key":${key},${JSON.stringify({ ...rest, ...recovery }).slice(1)}`);
  }
  if (kind === 'certificates') {
    const cer = Buffer.from(content).toString('base64');
    return json(
      JSON.stringify({ id, sid: id.replace('/certificates/', '/secrets/'), cer, ...rest, ...recovery }),
    );
  }
  return json(
    JSON.stringify({
      ...(deleted === undefined ? { value: content } : {}),
      ...(options.contentType === undefined ? {} : { contentType: options.contentType }),
      id,
      ...(options.managed === true ? { managed: true, kid: id.replace('/secrets/', '/keys/') } : {}),
      ...rest,
      ...recovery,
    }),
  );
}

function attributesOf({ options, createdAt, updatedAt }: Version<unknown>) {
  return {
    enabled: options.enabled ?? true,
    ...(options.notBefore === undefined ? {} : { nbf: seconds(options.notBefore) }),
    ...(options.expires === undefined ? {} : { exp: seconds(options.expires) }),
    created: seconds(createdAt),
    updated: seconds(updatedAt),
    recoveryLevel: 'Recoverable+Purgeable',
    recoverableDays: 90,
  };
}

/**
 * Returns one page of a list. It has at most 25 objects, including disabled ones, without their values and versions.
 */
function list(contents: VaultContents, kind: Kind, address: string, url: URL): Reply {
  const objects: Objects<string | Uint8Array> = contents[kind];
  const size = Math.min(Number(url.searchParams.get('maxresults') ?? PAGE_SIZE), PAGE_SIZE);
  const start = Number(url.searchParams.get('$skiptoken') ?? 0);
  const all = objects.list();
  const value = all.slice(start, start + size).map(({ name, version }) => ({
    id: `${address}/${kind}/${name}`,
    ...(version.options.contentType === undefined ? {} : { contentType: version.options.contentType }),
    ...(version.options.managed === true ? { managed: true } : {}),
    attributes: attributesOf(version),
    ...(version.options.tags === undefined ? {} : { tags: version.options.tags }),
  }));
  const next = start + size;
  const query = new URLSearchParams({
    'api-version': '7.4',
    $skiptoken: String(next),
    maxresults: String(size),
  });
  const nextLink = next < all.length ? `${address}/${kind}?${query}` : null;
  return json(JSON.stringify({ value, nextLink }));
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}

function json(body: string): Reply {
  return { status: 200, body };
}

export function failure(status: number, code: string, inner?: string): Reply {
  const error = {
    code,
    message: `a text of the vendor's: ${code}`,
    ...(inner === undefined ? {} : { innererror: { code: inner } }),
  };
  return { status, body: JSON.stringify({ error }) };
}
