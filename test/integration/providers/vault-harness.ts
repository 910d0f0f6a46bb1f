import { randomUUID } from 'node:crypto';
import type { SecretProvider } from '../../../src/providers/provider.ts';
import { VaultConfig } from '../../../src/providers/vault/config.ts';
import { vault } from '../../../src/providers/vault/index.ts';
import { type TestDeps, testDeps } from '../../conformance/provider-deps.ts';
import { soon } from '../../soon.ts';
import type { Request } from '../services/http.ts';

export interface Bao {
  readonly address: string;
  readonly token: string;
  readonly request: Request;
}

/** One request that must succeed; gives its `data`, `auth` or `wrap_info`. */
export async function call<Body>(
  { request }: Bao,
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

/** A new key/value mount, so that tests do not meet. */
export async function createMount(bao: Bao, version: 1 | 2): Promise<string> {
  const mount = `kv-${randomUUID()}`;
  await call(bao, 'POST', `sys/mounts/${mount}`, { type: 'kv', options: { version: String(version) } });
  // For a moment after that, version 2 answers 400 to all: it prepares itself for versions.
  if (version === 2) await soon(() => call(bao, 'GET', `${mount}/config`));
  return mount;
}

/** A path as the API wants it, written apart from the code under test. */
export function urlOf(mount: string, version: 1 | 2, key: string, kind = 'data'): string {
  const encoded = key.split('/').map(encodeURIComponent).join('/');
  return version === 1 ? `${mount}/${encoded}` : `${mount}/${kind}/${encoded}`;
}

/** An AppRole login that may read what the policy says. */
export async function createAppRole(
  bao: Bao,
  policy: string,
  role: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
) {
  const ask = <Body>(method: string, path: string, body?: unknown, more: Record<string, string> = {}) =>
    call<Body>(bao, method, path, body, { ...headers, ...more });
  const name = `role-${randomUUID()}`;
  // Below `approle` it would keep others from a mount of that very name.
  const mountPath = `${name}/approle`;
  await ask('POST', `sys/auth/${mountPath}`, { type: 'approle' });
  await ask('PUT', `sys/policies/acl/${name}`, { policy });
  await ask('POST', `auth/${mountPath}/role/${name}`, { token_policies: name, ...role });
  const { role_id: roleId } = await ask<{ role_id: string }>('GET', `auth/${mountPath}/role/${name}/role-id`);
  const secretIdPath = `auth/${mountPath}/role/${name}/secret-id`;
  return {
    mountPath,
    roleId,
    newSecretId: async () => (await ask<{ secret_id: string }>('POST', secretIdPath, {})).secret_id,
    newWrappedSecretId: async () =>
      (await ask<{ token: string }>('POST', secretIdPath, {}, { 'x-vault-wrap-ttl': '60' })).token,
    tokens: async () => {
      const path = '/v1/auth/token/accessors?list=true';
      const { status, body } = await bao.request<{ data: { keys: string[] } }>(
        'GET',
        path,
        undefined,
        headers,
      );
      return status === 404 ? 0 : body.data.keys.length; // 404: none
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
