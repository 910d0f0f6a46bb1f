import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import { bodyOf } from './body.ts';
import { closeServer, listen } from './loopback.ts';

/**
 * A fake of OpenBao 2.7 for the paths that secretbridge uses: key/value engines of both versions, tokens, logins,
 * wrapped secret ids and the lookup of a mount. A test gives secrets as JSON text, because the fake must keep the
 * spelling of numbers.
 */
export interface VaultServer extends AsyncDisposable {
  readonly address: string;
  /** A token that never expires and has all rights. */
  readonly rootToken: string;
  readonly requests: string[];
  /** The bodies of the requests as JSON text. A request without a body has `{}`. */
  readonly bodies: readonly string[];
  /** @param path The path without `data/`. @param json The secret as a JSON object. */
  put(mount: string, path: string, json: string, customMetadata?: Readonly<Record<string, string>>): void;
  /** Deletes or destroys the newest version. With `forget`, removes the key with all its versions. */
  remove(mount: string, path: string, how: 'delete' | 'destroy' | 'forget'): void;
  deny(path: RegExp | undefined): void;
  addToken(token: string, options?: { ttl?: number; renewable?: boolean; mayLookUp?: boolean }): void;
  /** Replaces the mount with a new, empty engine. The answers of any engine other than `kv` have a lease. */
  mount(name: string, version: 1 | 2, type?: string): void;
  /** Makes logins at this path (for example `auth/jwt/login`) succeed if they have exactly this body. */
  accept(path: string, body: Readonly<Record<string, unknown>>): void;
  /** Returns a response-wrapping token for this secret id. It can be unwrapped once. */
  wrap(secretId: string): string;
  /**
   * The credentials for AppRole logins and the settings of their tokens. Other logins use `ttl` and `mayLookUp` too.
   */
  appRole: { roleId: string; secretId: string; ttl: number; mayLookUp: boolean };
  revokeAll(): void;
  readonly logins: number;
  readonly tokens: ReadonlySet<string>;
  /** The difference between the `Date` header and the real time, in milliseconds. */
  skewMs: number;
  onRenewal: () => void;
  /** Called after a list answer was created and before it is sent. */
  onList: () => void;
  failRenewals: boolean;
  /** The error text in the answer to a rejected login. */
  refusal: string;
  /** What `sys/health` says about the edition of Vault. OpenBao, the default, says nothing. */
  isEnterprise: boolean | undefined;
}

interface Version {
  readonly json: string;
  readonly createdAt: string;
  deletedAt: string;
  destroyed: boolean;
}

interface Mount {
  readonly version: 1 | 2;
  readonly type: string;
  readonly keys: Map<string, { versions: Version[]; custom: Readonly<Record<string, string>> | null }>;
}

interface Token {
  readonly ttl: number;
  readonly renewable: boolean;
  readonly mayLookUp: boolean;
}

interface Reply {
  readonly status: number;
  readonly body?: string;
}

const DENIED = failure(403, '1 error occurred:\n\t* permission denied\n\n');
const BARE_404: Reply = { status: 404, body: '{"errors":[]}' };

export async function startVaultServer(): Promise<VaultServer> {
  const rootToken = `root-${randomUUID()}`;
  const mounts = new Map<string, Mount>([
    ['secret', { version: 2, type: 'kv', keys: new Map() }],
    ['kv1', { version: 1, type: 'kv', keys: new Map() }],
  ]);
  const tokens = new Map<string, Token>([[rootToken, { ttl: 0, renewable: false, mayLookUp: true }]]);
  const requests: string[] = [];
  const bodies: string[] = [];
  const accepted = new Map<string, string>();
  const wrapped = new Map<string, string>();
  let denied: RegExp | undefined;
  let logins = 0;
  const appRole = { roleId: 'role', secretId: randomUUID(), ttl: 3600, mayLookUp: true };

  const handle = (url: URL, token: string, body: unknown): Reply => {
    const path = url.pathname.replace(/^\/v1\//, '');
    if (path === 'sys/health') {
      const { isEnterprise: enterprise } = vault;
      return ok(JSON.stringify({ initialized: true, sealed: false, enterprise }), false);
    }
    if (path === 'auth/approle/login') return logInByRole(body);
    if (/^auth\/.*\/?login(\/|$)/.test(path)) {
      const isRight = accepted.get(decodeURIComponent(path)) === JSON.stringify(body);
      return isRight ? logIn() : failure(400, vault.refusal);
    }
    if (path === 'sys/wrapping/unwrap') return unwrap(token);
    const holder = tokens.get(token);
    if (holder === undefined || denied?.test(decodeURIComponent(path))) return DENIED;
    if (path === 'auth/token/lookup-self') {
      return holder.mayLookUp ? ok(`{"ttl":${holder.ttl},"renewable":${holder.renewable}}`) : DENIED;
    }
    if (path === 'auth/token/renew-self') {
      vault.onRenewal();
      if (vault.failRenewals) return failure(500, 'internal error');
      return ok('null', true, authOf(token, { ...holder, ttl: appRole.ttl }));
    }
    if (path === 'auth/token/revoke-self') {
      tokens.delete(token);
      return { status: 204 };
    }
    if (path === 'sys/internal/ui/mounts') {
      const listed = [...mounts].map(([name, { type }]) => [`${name}/`, { type }]);
      return ok(JSON.stringify({ auth: {}, secret: Object.fromEntries(listed) }));
    }
    if (path.startsWith('sys/internal/ui/mounts/')) return describeMount(path.slice(23));
    for (const [name, mount] of mounts) {
      if (!path.startsWith(`${name}/`)) continue;
      const reply = readMount(mount, path.slice(name.length + 1), url.searchParams);
      if (url.searchParams.has('list')) vault.onList();
      return reply;
    }
    return failure(404, `no handler for route "${path}". route entry not found.`);
  };

  const unwrap = (token: string): Reply => {
    const secretId = wrapped.get(token);
    wrapped.delete(token);
    if (secretId === undefined) return failure(400, 'wrapping token is not valid or does not exist');
    return ok(JSON.stringify({ secret_id: secretId, secret_id_accessor: randomUUID() }));
  };

  const logInByRole = (body: unknown): Reply => {
    const { role_id: roleId, secret_id: secretId } = body as Record<string, unknown>;
    if (roleId !== appRole.roleId || secretId !== appRole.secretId) {
      return failure(400, 'invalid role or secret ID');
    }
    return logIn();
  };

  const logIn = (): Reply => {
    logins += 1;
    const token = `s.${randomUUID()}`;
    const holder = { ttl: appRole.ttl, renewable: true, mayLookUp: appRole.mayLookUp };
    tokens.set(token, holder);
    return ok('null', true, authOf(token, holder));
  };

  const describeMount = (name: string): Reply => {
    const mount = mounts.get(name.split('/')[0] ?? '');
    if (mount === undefined) return failure(403, 'preflight capability check returned 403');
    const options = `{"version":"${mount.version}"}`;
    return ok(`{"options":${options},"path":"${name.split('/')[0]}/","type":"${mount.type}"}`);
  };

  const server = createServer(async (incoming, outgoing) => {
    const url = new URL(incoming.url ?? '/', 'http://localhost');
    requests.push(`${incoming.method} ${incoming.url}`);
    const sent = await readJson(incoming);
    bodies.push(JSON.stringify(sent));
    const { status, body } = handle(url, one(incoming.headers['x-vault-token']), sent);
    outgoing.sendDate = false;
    outgoing.setHeader('date', new Date(Date.now() + vault.skewMs).toUTCString());
    outgoing.writeHead(status, { 'content-type': 'application/json' });
    outgoing.end(body);
  });
  const port = await listen(server);

  const vault: VaultServer = {
    address: `http://127.0.0.1:${port}`,
    rootToken,
    requests,
    bodies,
    appRole,
    skewMs: 0,
    onRenewal: () => undefined,
    onList: () => undefined,
    failRenewals: false,
    refusal: 'invalid username or password',
    isEnterprise: undefined,
    put(name, path, json, customMetadata) {
      const mount = mounts.get(name);
      if (mount === undefined) throw new Error(`no mount ${name}`);
      const versions = mount.version === 2 ? [...(mount.keys.get(path)?.versions ?? [])] : [];
      versions.push({ json, createdAt: new Date().toISOString(), deletedAt: '', destroyed: false });
      mount.keys.set(path, { versions, custom: customMetadata ?? null });
    },
    remove(name, path, how) {
      const mount = mounts.get(name);
      const newest = mount?.keys.get(path)?.versions.at(-1);
      if (how === 'forget') mount?.keys.delete(path);
      else if (newest !== undefined) {
        newest.deletedAt = new Date().toISOString();
        newest.destroyed = how === 'destroy';
      }
    },
    mount: (name, version, type = 'kv') => void mounts.set(name, { version, type, keys: new Map() }),
    accept: (path, body) => void accepted.set(path, JSON.stringify(body)),
    wrap(secretId) {
      const token = `s.${randomUUID()}`;
      wrapped.set(token, secretId);
      return token;
    },
    deny(path) {
      denied = path;
    },
    addToken(token, { ttl = 0, renewable = false, mayLookUp = true } = {}) {
      tokens.set(token, { ttl, renewable, mayLookUp });
    },
    revokeAll() {
      for (const token of tokens.keys()) if (token !== rootToken) tokens.delete(token);
    },
    get logins() {
      return logins;
    },
    get tokens() {
      return new Set(tokens.keys());
    },
    [Symbol.asyncDispose]: () => closeServer(server),
  };
  return vault;
}

function readMount(mount: Mount, path: string, query: URLSearchParams): Reply {
  if (mount.version === 1) return query.has('list') ? list(mount, path) : readVersion1(mount, path);
  const [, kind, rest = ''] = /^([^/]*)\/(.*)$/.exec(path) ?? [];
  if (kind === 'metadata' && query.has('list')) return list(mount, rest);
  if (kind === 'metadata') return readMetadata(mount, rest);
  if (kind === 'data') return readVersion2(mount, rest, Number(query.get('version') ?? 0));
  return {
    status: 404,
    body: '{"data":null,"warnings":["Invalid path for a versioned K/V secrets engine."]}',
  };
}

function readVersion1(mount: Mount, path: string): Reply {
  const newest = mount.keys.get(decodeURIComponent(path))?.versions.at(-1);
  if (newest === undefined) return BARE_404;
  const { body = '' } = ok(newest.json);
  return {
    status: 200,
    body: mount.type === 'kv' ? body : body.replace('"lease_id":""', '"lease_id":"x/y"'),
  };
}

function readVersion2(mount: Mount, path: string, requestedVersion: number): Reply {
  const { versions = [], custom = null } = mount.keys.get(decodeURIComponent(path)) ?? {};
  const number = requestedVersion === 0 ? versions.length : requestedVersion;
  const version = versions[number - 1];
  if (version === undefined) return BARE_404;
  const isDeleted = version.deletedAt !== '';
  const metadata = `{"created_time":"${version.createdAt}","custom_metadata":${JSON.stringify(custom)},"deletion_time":"${version.deletedAt}","destroyed":${version.destroyed},"version":${number}}`;
  return ok(
    `{"data":${isDeleted ? 'null' : version.json},"metadata":${metadata}}`,
    true,
    'null',
    isDeleted ? 404 : 200,
  );
}

function readMetadata(mount: Mount, path: string): Reply {
  const key = mount.keys.get(decodeURIComponent(path));
  if (key === undefined) return BARE_404;
  const versions = key.versions.map(({ createdAt, deletedAt, destroyed }, index) => [
    index + 1,
    { created_time: createdAt, deletion_time: deletedAt, destroyed },
  ]);
  const data = {
    current_version: key.versions.length,
    custom_metadata: key.custom,
    versions: Object.fromEntries(versions),
  };
  return ok(JSON.stringify(data));
}

function list(mount: Mount, path: string): Reply {
  const folder = decodeURIComponent(path);
  const names = new Set<string>();
  for (const key of mount.keys.keys()) {
    if (!key.startsWith(folder)) continue;
    const rest = key.slice(folder.length);
    names.add(rest.includes('/') ? rest.slice(0, rest.indexOf('/') + 1) : rest);
  }
  return names.size === 0 ? BARE_404 : ok(JSON.stringify({ keys: [...names] }));
}

function ok(data: string, wrapped = true, auth = 'null', status = 200): Reply {
  const body = `{"request_id":"${randomUUID()}","lease_id":"","data":${data},"warnings":null,"auth":${auth}}`;
  return { status, body: wrapped ? body : data };
}

function failure(status: number, text: string): Reply {
  return { status, body: JSON.stringify({ errors: [text] }) };
}

function authOf(token: string, { ttl, renewable }: Token): string {
  return `{"client_token":"${token}","lease_duration":${ttl},"renewable":${renewable}}`;
}

function one(header: string | string[] | undefined): string {
  return Array.isArray(header) ? (header[0] ?? '') : (header ?? '');
}

async function readJson(incoming: IncomingMessage): Promise<unknown> {
  // The body is undefined if the client has disconnected.
  const text = (await bodyOf(incoming))?.toString() ?? '';
  return text === '' ? {} : JSON.parse(text);
}
