import { randomBytes } from 'node:crypto';
import type { VaultAccess } from '../providers/vault-harness.ts';
import { vaultServer } from '../services/inject.ts';

/** A path of the key/value engine for one test, and a login with the right to read only this path. */
export interface Vault {
  readonly address: string;
  /** The prefix of every key. */
  readonly prefix: string;
  /** The environment variables to which the configuration refers. They contain the credentials. */
  readonly env: { readonly ROLE_ID: string; readonly SECRET_ID: string };
  put(key: string, fields: Readonly<Record<string, unknown>>): Promise<void>;
  remove(key: string): Promise<void>;
}

/** The login identifiers. By default random ones. */
export interface Login {
  readonly roleId: string;
  readonly secretId: string;
}

/** @param server The server. It has a key/value engine of version 2 at `secret/`. */
export async function openVault(
  login?: Login,
  server: Pick<VaultAccess, 'address' | 'request'> = vaultServer(),
): Promise<Vault> {
  const { address, request } = server;
  const prefix = `e2e-${randomBytes(4).toString('hex')}`;
  const send = async (method: string, path: string, body?: object) => {
    const answer = await request<{ data?: Record<string, string> }>(method, `/v1/${path}`, body);
    if (![200, 204].includes(answer.status)) throw new Error(`${method} ${path}: ${answer.status}`);
    return answer.body.data ?? {};
  };
  // Each test uses a separate mount, because tests share the server.
  await send('POST', `sys/auth/${prefix}`, { type: 'approle' });
  const policy = `path "secret/data/${prefix}/*" { capabilities = ["read"] }`;
  await send('PUT', `sys/policies/acl/${prefix}`, { policy });
  const role = `auth/${prefix}/role/bridge`;
  await send('POST', role, { token_policies: prefix });
  if (login !== undefined) {
    await send('POST', `${role}/role-id`, { role_id: login.roleId });
    await send('POST', `${role}/custom-secret-id`, { secret_id: login.secretId });
  }
  const { role_id: roleId = '' } = await send('GET', `${role}/role-id`);
  const { secret_id: secretId = '' } =
    login === undefined ? await send('POST', `${role}/secret-id`, {}) : { secret_id: login.secretId };
  return {
    address,
    prefix,
    env: { ROLE_ID: roleId, SECRET_ID: secretId },
    put: async (key, fields) => void (await send('POST', `secret/data/${prefix}/${key}`, { data: fields })),
    remove: async (key) => void (await send('DELETE', `secret/metadata/${prefix}/${key}`)),
  };
}
