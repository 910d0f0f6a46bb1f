import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { SecretProvider } from '../../../src/providers/provider.ts';
import { VaultConfig } from '../../../src/providers/vault/config.ts';
import { vault } from '../../../src/providers/vault/index.ts';
import { type TestDeps, testDeps } from '../../conformance/provider-deps.ts';
import { waitUntil } from '../../wait-until.ts';
import { createRequest, type Request } from '../services/http.ts';
import { vaultServer } from '../services/inject.ts';
import { installOpenBao, startOpenBao } from '../services/openbao.ts';
import { reportToStderr } from '../services/service.ts';
import { installVault, startVault } from '../services/vault.ts';
import type { VaultProgram } from '../services/vault-launch.ts';

export interface VaultAccess {
  readonly address: string;
  readonly token: string;
  readonly request: Request;
}

/** The reason to skip a test. Undefined for OpenBao, which has namespaces. */
export function whyNoNamespaces(): string | undefined {
  return vaultServer().product === 'Vault' ? 'the community edition of Vault has no namespaces' : undefined;
}

/** Returns the program of the same product as `vaultServer()`. */
export async function installProgram(): Promise<VaultProgram> {
  if (vaultServer().product === 'Vault') return installVault(reportToStderr);
  return { product: 'OpenBao', path: await installOpenBao(reportToStderr) };
}

/** Starts another server of the same product as `vaultServer()`. */
export async function startServer(options: { readonly tls?: boolean } = {}): Promise<NewServer> {
  const { product } = vaultServer();
  const started = await (product === 'Vault'
    ? startVault(options)
    : startOpenBao({ ...options, borrow: false }));
  const { address, rootToken: token, caFile = '', ...lifetime } = started;
  const ca = caFile === '' ? undefined : await readFile(caFile, 'utf8');
  const request = createRequest({ address, ca, headers: { 'x-vault-token': token } });
  return { ...lifetime, address, token, caFile, request };
}

export interface NewServer extends VaultAccess, AsyncDisposable {
  /** The certificate authority to trust. Empty without TLS. */
  readonly caFile: string;
}

/** Sends one request, which must succeed. Returns the answer's `data`, `auth` or `wrap_info`. */
export async function call<Body>(
  { request }: VaultAccess,
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) {
  const answer = await request<{ data: Body; auth: Body; wrap_info: Body }>(
    method,
    `/v1/${path}`,
    body,
    headers,
  );
  if (answer.status >= 300) throw new Error(`${method} ${path} answered ${answer.status}`);
  return answer.body.data ?? answer.body.auth ?? answer.body.wrap_info;
}

/** Creates a key/value mount for one test. */
export async function createMount(server: VaultAccess, version: 1 | 2): Promise<string> {
  const mount = `kv-${randomUUID()}`;
  await call(server, 'POST', `sys/mounts/${mount}`, { type: 'kv', options: { version: String(version) } });
  // The server prepares a new mount of version 2 for a moment and answers 400 meanwhile.
  if (version === 2) await waitUntil(() => call(server, 'GET', `${mount}/config`));
  return mount;
}

/** Returns the API path of a key, computed independently of the code under test. */
export function urlOf(mount: string, version: 1 | 2, key: string, kind = 'data'): string {
  const encoded = key.split('/').map(encodeURIComponent).join('/');
  return version === 1 ? `${mount}/${encoded}` : `${mount}/${kind}/${encoded}`;
}

/** Creates an AppRole login with the rights of `policy`. */
export async function createAppRole(
  server: VaultAccess,
  policy: string,
  role: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
) {
  const send = <Body>(method: string, path: string, body?: unknown, more: Record<string, string> = {}) =>
    call<Body>(server, method, path, body, { ...headers, ...more });
  const name = `role-${randomUUID()}`;
  // A mount below `approle` would prevent a mount named `approle` in other tests.
  const mountPath = `${name}/approle`;
  await send('POST', `sys/auth/${mountPath}`, { type: 'approle' });
  await send('PUT', `sys/policies/acl/${name}`, { policy });
  await send('POST', `auth/${mountPath}/role/${name}`, { token_policies: name, ...role });
  const { role_id: roleId } = await send<{ role_id: string }>(
    'GET',
    `auth/${mountPath}/role/${name}/role-id`,
  );
  const secretIdPath = `auth/${mountPath}/role/${name}/secret-id`;
  return {
    /** The name of the role and of its policy. */
    name,
    mountPath,
    roleId,
    newSecretId: async () => (await send<{ secret_id: string }>('POST', secretIdPath, {})).secret_id,
    newWrappedSecretId: async () =>
      (await send<{ token: string }>('POST', secretIdPath, {}, { 'x-vault-wrap-ttl': '60' })).token,
    /** Returns the number of tokens of this role. Other tests may log in to the same server meanwhile. */
    tokens: async () => {
      const send = (method: string, path: string, body?: unknown) =>
        server.request<{ data: { keys: string[]; policies: string[] } }>(
          method,
          `/v1/${path}`,
          body,
          headers,
        );
      const list = await send('GET', 'auth/token/accessors?list=true');
      if (list.status === 404) return 0; // 404 means that there are no tokens.
      const lookups = list.body.data.keys.map((accessor) =>
        send('POST', 'auth/token/lookup-accessor', { accessor }),
      );
      // A token that has ended meanwhile has no data.
      return (await Promise.all(lookups)).filter(({ body }) => body.data?.policies.includes(name)).length;
    },
  };
}

export async function openProvider(
  config: Readonly<Record<string, unknown>>,
  env: Record<string, string>,
  deps: TestDeps = {},
): Promise<SecretProvider> {
  const full = { kind: 'vault', auth: { method: 'token', token: { env: 'TOKEN' } }, ...config };
  return vault.create(VaultConfig.parse(full), testDeps({ ...deps, env }));
}
