import { randomBytes } from 'node:crypto';
import { openbao } from '../services/inject.ts';

/** A part of the key/value engine that belongs to one test, and a login that may read it and nothing else. */
export interface Vault {
  readonly address: string;
  /** Before every key. */
  readonly prefix: string;
  /** The environment that the configuration's credentials refer to. */
  readonly env: { readonly ROLE_ID: string; readonly SECRET_ID: string };
  put(key: string, fields: Readonly<Record<string, unknown>>): Promise<void>;
  remove(key: string): Promise<void>;
}

export async function openVault(): Promise<Vault> {
  const { address, request } = openbao();
  const prefix = `e2e-${randomBytes(4).toString('hex')}`;
  const send = async (method: string, path: string, body?: object, also: readonly number[] = []) => {
    const answer = await request<{ data?: Record<string, string> }>(method, `/v1/${path}`, body);
    if (![200, 204, ...also].includes(answer.status)) throw new Error(`${method} ${path}: ${answer.status}`);
    return answer.body.data ?? {};
  };
  // Another test may have been faster.
  await send('POST', 'sys/auth/approle', { type: 'approle' }, [400]);
  const policy = `path "secret/data/${prefix}/*" { capabilities = ["read"] }`;
  await send('PUT', `sys/policies/acl/${prefix}`, { policy });
  await send('POST', `auth/approle/role/${prefix}`, { token_policies: prefix });
  const { role_id: roleId = '' } = await send('GET', `auth/approle/role/${prefix}/role-id`);
  const { secret_id: secretId = '' } = await send('POST', `auth/approle/role/${prefix}/secret-id`, {});
  return {
    address,
    prefix,
    env: { ROLE_ID: roleId, SECRET_ID: secretId },
    put: async (key, fields) => void (await send('POST', `secret/data/${prefix}/${key}`, { data: fields })),
    remove: async (key) => void (await send('DELETE', `secret/metadata/${prefix}/${key}`)),
  };
}
