import { randomUUID } from 'node:crypto';
import type { FakeStore, Reply } from './fake-store.ts';

const MOUNT = 'secret';

/**
 * Creates a fake Vault with KV version 2 at `secret/` and AppRole login. Its responses have the format of OpenBao 2.7.
 */
export function fakeVault(): FakeStore {
  const values = new Map<string, { json: string; version: number; createdAt: string }>();
  const token = `s.${randomUUID()}`;
  const answer = (path: string, sent: unknown): Reply & { readonly operation: string } => {
    if (path === 'auth/approle/login') {
      const auth = { client_token: token, lease_duration: 3_600, renewable: true };
      return { operation: 'login', ...ok(null, auth) };
    }
    if (sent !== token) return { operation: 'refused', ...failure(403, ['permission denied']) };
    if (path === 'auth/token/lookup-self')
      return { operation: 'lookup', ...ok({ ttl: 3_600, renewable: true }) };
    if (path === 'auth/token/renew-self')
      return {
        operation: 'renew',
        ...ok(null, { client_token: token, lease_duration: 3_600, renewable: true }),
      };
    if (path === 'auth/token/revoke-self') return { operation: 'revoke', status: 204, body: '' };
    if (path === `sys/internal/ui/mounts/${MOUNT}`)
      return {
        operation: 'mount',
        ...ok({ options: { version: '2' }, path: `${MOUNT}/`, type: 'kv' }),
      };
    const key = decodeURIComponent(path.replace(`${MOUNT}/data/`, ''));
    const secret = values.get(key);
    if (secret === undefined) return { operation: 'read', ...failure(404, []) };
    const metadata = {
      created_time: secret.createdAt,
      deletion_time: '',
      destroyed: false,
      version: secret.version,
    };
    const data = `{"data":${secret.json},"metadata":${JSON.stringify(metadata)}}`;
    return { operation: 'read', status: 200, headers: TYPE, body: bodyOf(data, 'null') };
  };
  return {
    put(key, value) {
      const version = (values.get(key)?.version ?? 0) + 1;
      values.set(key, { json: JSON.stringify({ value }), version, createdAt: new Date().toISOString() });
    },
    answer: ({ url, headers }) => answer(url.pathname.replace(/^\/v1\//, ''), headers['x-vault-token']),
    env: () => ({ BENCH_ROLE_ID: 'role', BENCH_SECRET_ID: 'of-the-double' }),
  };
}

const TYPE = { 'content-type': 'application/json' };

function bodyOf(data: string, auth: string): string {
  return `{"request_id":"${randomUUID()}","lease_id":"","data":${data},"warnings":null,"auth":${auth}}`;
}

function ok(data: object | null, auth: object | null = null): Reply {
  return { status: 200, headers: TYPE, body: bodyOf(JSON.stringify(data), JSON.stringify(auth)) };
}

function failure(status: number, errors: readonly string[]): Reply {
  return { status, headers: TYPE, body: JSON.stringify({ errors }) };
}
