import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { grantOf } from '../../../src/providers/vault/grant.ts';
import { codeOf, everythingIn } from '../../conformance/provider.ts';
import { createManualTime } from '../../fakes/manual-time.ts';
import { APP_ROLE, openVault } from './harness.ts';

type Store = Awaited<ReturnType<typeof openVault>>;

const PASSWORD = { env: 'PASSWORD' };
const JWT = { env: 'JWT' };

/** Each login method with its configuration, and the path and body of the request that the server must receive. */
const LOGINS: readonly [name: string, auth: object, path: string, body: Record<string, string>][] = [
  [
    'userpass',
    { method: 'userpass', username: 'ann', password: PASSWORD },
    'auth/userpass/login/ann',
    { password: 'p' },
  ],
  [
    'userpass with a name that URLs and HTML would change',
    { method: 'userpass', username: 'o\'neil & <"söns">?#%2f', password: PASSWORD },
    'auth/userpass/login/o\'neil & <"söns">?#%2f',
    { password: 'p' },
  ],
  [
    'userpass at another mount, with a name by reference',
    { method: 'userpass', username: { env: 'NAME' }, password: PASSWORD, mountPath: "team/it's" },
    "auth/team/it's/login/bob",
    { password: 'p' },
  ],
  [
    'ldap with a domain',
    { method: 'ldap', username: 'CORP\\ann', password: PASSWORD },
    'auth/ldap/login/CORP\\ann',
    { password: 'p' },
  ],
  [
    'ldap at another mount',
    { method: 'ldap', username: 'ann', password: PASSWORD, mountPath: 'ad' },
    'auth/ad/login/ann',
    { password: 'p' },
  ],
  ['jwt', { method: 'jwt', role: 'r', jwt: JWT }, 'auth/jwt/login', { role: 'r', jwt: 'j' }],
  [
    'jwt at another mount',
    { method: 'jwt', role: 'r/&', jwt: JWT, mountPath: 'ci/jwt' },
    'auth/ci/jwt/login',
    { role: 'r/&', jwt: 'j' },
  ],
  [
    'appRole at another mount',
    { method: 'appRole', roleId: 'i', secretId: PASSWORD, mountPath: 'a/b' },
    'auth/a/b/login',
    { role_id: 'i', secret_id: 'p' },
  ],
];

const ENV = { PASSWORD: 'p', JWT: 'j', NAME: 'bob' };

async function openFile(name: string) {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-login-'));
  const path = join(folder, name);
  return {
    path,
    write: (text: string) => writeFile(path, text),
    remove: () => rm(path),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

/** Revokes all tokens and reads again, which needs a new login. */
async function logInAnew(store: Store): Promise<string | undefined> {
  store.server.revokeAll();
  return codeOf(await store.read('a'));
}

describe('a login method of Vault', () => {
  it.each(LOGINS)(
    'the login method %s logs in once, and logs in again after its token was revoked',
    async (_, auth, path, body) => {
      await using store = await openVault({ config: { auth }, deps: { env: ENV } });
      store.server.accept(path, body);
      expect(codeOf(await store.read('a'))).toBe('absent');
      expect(codeOf(await store.read('b'))).toBe('absent');
      expect(store.server.logins).toBe(1);
      expect(await logInAnew(store)).toBe('absent');
      expect(store.server.logins).toBe(2);
    },
  );

  it.each(LOGINS)(
    'the login method %s fails with AUTH_FAILED after one refused request, and quotes no credential in the error',
    async (_, auth) => {
      await using store = await openVault({
        config: { auth },
        deps: { env: { ...ENV, JWT: 'j-MARK', PASSWORD: 'p-MARK' } },
      });
      const results = await store.provider.read([{ key: 'a' }, { key: 'b' }, { key: 'c' }]);
      expect(new Set(results.map(codeOf))).toEqual(new Set(['AUTH_FAILED']));
      expect(store.sent()).toHaveLength(1);
      expect(everythingIn(results)).not.toContain('MARK');
    },
  );

  it.each(LOGINS)(
    'the login method %s does not count a 404 from a server that is not Vault as a refused login',
    async (_, auth, path, body) => {
      await using store = await openVault({ config: { auth }, deps: { env: ENV } });
      store.server.accept(path, body);
      for (const fault of ['not found, in HTML', 'not found at another host'] as const) {
        store.proxy.set(fault, /login/);
        expect(await logInAnew(store)).toBe('BAD_ANSWER');
        store.proxy.set(undefined);
        expect(await logInAnew(store)).toBe('absent');
      }
    },
  );

  it('a login reports that the server uses TLS if the configured address begins with `http:`', () => {
    const text = 'Client sent an HTTP request to an HTTPS server.\n';
    const answer = { status: 400, text, isJson: false, retryAfterMs: undefined, date: undefined };
    expect(() => grantOf(answer, 'approle')).toThrow(
      expect.objectContaining({ code: 'BAD_ANSWER', detail: expect.stringContaining('`https`') }),
    );
  });

  it.each(LOGINS)('the login method %s does not follow a redirect', async (_, auth) => {
    await using elsewhere = await openVault();
    await using store = await openVault({ config: { auth }, deps: { env: ENV } });
    store.proxy.set('redirect', /login/);
    expect(codeOf(await store.read('a'))).toBe('BAD_ANSWER');
    expect(elsewhere.sent()).toEqual([]);
  });

  it.each(LOGINS)(
    'the login method %s fails with CREDENTIAL_MISSING if its credential is missing',
    async (_, auth) => {
      await using store = await openVault({ config: { auth }, deps: { env: { NAME: 'bob' } } });
      const [result] = await store.provider.read([{ key: 'a' }]);
      expect(result).toMatchObject({
        error: {
          code: 'CREDENTIAL_MISSING',
          detail: expect.stringMatching(/variable (PASSWORD|JWT) is not set/),
        },
      });
      expect(store.sent()).toEqual([]);
    },
  );

  it.each(['..', '../../sys/x', 'a//b', 'a\nb', '.'])(
    'the login method userpass rejects the user name %j',
    async (username) => {
      await using store = await openVault({
        config: { auth: { method: 'userpass', username, password: PASSWORD } },
        deps: { env: ENV },
      });
      expect(codeOf(await store.read('a'))).toBe('CONFIG_INVALID');
      expect(store.sent()).toEqual([]);
    },
  );
});

describe('a refused login', () => {
  const ldap = { method: 'ldap', username: 'ann', password: PASSWORD };
  async function open(auth: object = ldap) {
    const clock = createManualTime();
    const store = await openVault({ config: { auth }, deps: { clock, env: ENV } });
    const attempts = async (ms: number) => {
      for (let waited = 0; waited < ms; waited += 5_000) {
        clock.set(clock.now() + 5_000);
        expect(codeOf(await store.read('a'))).toBe('AUTH_FAILED');
      }
      return store.sent().length;
    };
    return { ...store, clock, attempts };
  }

  it.each([
    ldap,
    { method: 'userpass', username: 'ann', password: PASSWORD },
    APP_ROLE.auth,
    { ...APP_ROLE.auth, roleId: 'of nobody' },
  ])('repeats a refused login so rarely that the server does not lock the account: $method', async (auth) => {
    await using store = await open(auth);
    store.env.SECRET_ID = 'wrong';
    expect(await store.attempts(15 * 60_000)).toBe(2);
    expect(await store.attempts(30 * 60_000)).toBe(0);
    expect(await store.attempts(15 * 60_000)).toBe(1);
  });

  it.each([5_000, 60_000, 5 * 60_000])(
    'does not lock the AppRole role if two replicas read every %d ms, at any offset between the replicas',
    async (everyMs) => {
      await using store = await open(APP_ROLE.auth);
      store.env.SECRET_ID = 'wrong';
      const times: number[] = [];
      for (let at = 0; at < 3 * 60 * 60_000; at += everyMs) {
        store.clock.set(store.clock.now() + everyMs);
        await store.read('a');
        if (store.sent().length > 0) times.push(at);
      }
      expect(times.length).toBeGreaterThan(4);
      for (let later = 0; later <= 60 * 60_000; later += 30_000) {
        expect(mostCounted([...times, ...times.map((at) => at + later)])).toBeLessThan(5);
      }
    },
  );

  it('repeats a refused login a few seconds after AppRole gets a new secret ID', async () => {
    await using store = await open(APP_ROLE.auth);
    const right = store.server.appRole.secretId;
    store.env.SECRET_ID = 'wrong';
    await store.attempts(20 * 60_000);
    store.env.SECRET_ID = right;
    store.clock.set(store.clock.now() + 10_000);
    expect(codeOf(await store.read('a'))).toBe('absent');
  });

  it('repeats a refused login while other clients lock the account, and succeeds soon after the lock ends', async () => {
    await using store = await open(APP_ROLE.auth);
    store.proxy.set('forbidden', /login/);
    for (let waited = 0; waited < 15 * 60_000; waited += 60_000) {
      store.clock.set(store.clock.now() + 60_000);
      expect(codeOf(await store.read('a'))).toBe('AUTH_FAILED');
    }
    store.proxy.set(undefined);
    store.clock.set(store.clock.now() + 60_000);
    expect(codeOf(await store.read('a'))).toBe('absent');
  });

  it('repeats a refused login soon after the credential has changed, or after the server was unavailable', async () => {
    await using store = await open();
    await store.attempts(60_000);
    store.server.accept('auth/ldap/login/ann', { password: 'new' });
    store.env.PASSWORD = 'new';
    store.clock.set(store.clock.now() + 10_000);
    expect(codeOf(await store.read('a'))).toBe('absent');

    await using away = await open();
    away.server.refusal = 'error connecting to host "ldap://x": LDAP Result Code 200 "Network Error"';
    for (let round = 0; round < 6; round += 1) {
      expect(codeOf(await away.read('a'))).toBe('STORE_UNAVAILABLE');
    }
    away.server.accept('auth/ldap/login/ann', { password: 'p' });
    expect(codeOf(await away.read('a'))).toBe('absent');
  });

  it('repeats a login soon after the missing credential was added', async () => {
    await using store = await open();
    store.server.accept('auth/ldap/login/ann', { password: 'p' });
    store.env.PASSWORD = '';
    for (let round = 0; round < 6; round += 1) {
      expect(codeOf(await store.read('a'))).toBe('CREDENTIAL_MISSING');
      store.clock.set(store.clock.now() + 10_000);
    }
    store.env.PASSWORD = 'p';
    expect(codeOf(await store.read('a'))).toBe('absent');
  });
});

/**
 * Returns the highest number of wrong attempts that the server has counted at any time. After 15 minutes without an
 * attempt, the server starts again from zero.
 */
function mostCounted(times: readonly number[]): number {
  let count = 0;
  let most = 0;
  let before = Number.NEGATIVE_INFINITY;
  for (const at of times.toSorted((a, b) => a - b)) {
    count = at - before <= 15 * 60_000 ? count + 1 : 1;
    most = Math.max(most, count);
    before = at;
  }
  return most;
}

describe('the Kubernetes login', () => {
  it('reads the token file on each login, because the token is rotated', async () => {
    await using token = await openFile('token');
    await token.write('first');
    const auth = { method: 'kubernetes', role: 'bridge', tokenFile: token.path };
    await using store = await openVault({ config: { auth } });
    store.server.accept('auth/kubernetes/login', { role: 'bridge', jwt: 'first' });
    expect(codeOf(await store.read('a'))).toBe('absent');
    await token.write('second\n');
    store.server.accept('auth/kubernetes/login', { role: 'bridge', jwt: 'second' });
    expect(await logInAnew(store)).toBe('absent');
    expect(store.server.logins).toBe(2);
  });

  it('if no file is configured, uses the token that Kubernetes mounts into the pod, and reports the path of the token if the token is missing', async () => {
    await using store = await openVault({ config: { auth: { method: 'kubernetes', role: 'bridge' } } });
    const [result] = await store.provider.read([{ key: 'a' }]);
    expect(result).toMatchObject({
      error: {
        code: 'CREDENTIAL_MISSING',
        detail: expect.stringContaining('/var/run/secrets/kubernetes.io/serviceaccount/token'),
      },
    });
  });
});

describe('a wrapped secret ID', () => {
  const auth = (secretId: object) => ({
    auth: { method: 'appRole', roleId: { env: 'ROLE_ID' }, secretId, secretIdWrapped: true },
  });
  async function open() {
    const file = await openFile('wrapped');
    const clock = createManualTime();
    const store = await openVault({ config: auth({ file: file.path }), deps: { clock } });
    return {
      ...store,
      clock,
      file,
      async [Symbol.asyncDispose]() {
        await store[Symbol.asyncDispose]();
        await file[Symbol.asyncDispose]();
      },
    };
  }
  const unwraps = (store: Store) => store.sent().filter((line) => line.endsWith('unwrap')).length;

  it('unwraps the secret ID once, and uses it for later logins, even after the file was removed', async () => {
    await using store = await open();
    await store.file.write(store.server.wrap(store.server.appRole.secretId));
    expect(codeOf(await store.read('a'))).toBe('absent');
    expect(await logInAnew(store)).toBe('absent');
    await store.file.remove();
    expect(await logInAnew(store)).toBe('absent');
    expect(store.server.logins).toBe(3);
    expect(unwraps(store)).toBe(1);
  });

  it('unwraps the secret ID again if the file contains another wrapping token', async () => {
    await using store = await open();
    await store.file.write(store.server.wrap(store.server.appRole.secretId));
    expect(codeOf(await store.read('a'))).toBe('absent');
    store.server.appRole.secretId = 'renewed';
    expect(await logInAnew(store)).toBe('AUTH_FAILED');
    await store.file.write(store.server.wrap('renewed'));
    store.clock.set(store.clock.now() + 11_000);
    expect(codeOf(await store.read('a'))).toBe('absent');
    expect(unwraps(store)).toBe(2);
  });

  it('fails with AUTH_FAILED and an explanation if the wrapping token was already used', async () => {
    await using store = await open();
    await store.file.write('s.used');
    const [result] = await store.provider.read([{ key: 'a' }]);
    expect(result).toMatchObject({
      error: { code: 'AUTH_FAILED', detail: 'the wrapped secret ID was already used or has expired' },
    });
    expect(store.sent()).toEqual(['POST sys/wrapping/unwrap']);
  });

  it('tries again to unwrap the secret ID after a failure, and uses a new wrapping token immediately', async () => {
    await using store = await open();
    await store.file.write('s.not-there-yet');
    const attempt = async (ms: number) => {
      store.clock.set(store.clock.now() + ms);
      return codeOf(await store.read('a'));
    };
    for (let round = 0; round < 5; round += 1) expect(await attempt(60_000)).toBe('AUTH_FAILED');
    expect(unwraps(store)).toBe(5);
    await store.file.write(store.server.wrap('wrong'));
    expect(await attempt(10_000)).toBe('AUTH_FAILED');
    for (let round = 0; round < 20; round += 1) expect(await attempt(60_000)).toBe('AUTH_FAILED');
    expect(store.sent().filter((line) => line.endsWith('login'))).toHaveLength(2);
    await store.file.write(store.server.wrap(store.server.appRole.secretId));
    expect(await attempt(10_000)).toBe('absent');
  });

  it('tries again to unwrap the secret ID if the server was unavailable at the first attempt', async () => {
    await using store = await open();
    await store.file.write(store.server.wrap(store.server.appRole.secretId));
    store.proxy.set('unavailable', /unwrap/);
    expect(codeOf(await store.read('a'))).toBe('STORE_UNAVAILABLE');
    store.proxy.set(undefined);
    expect(codeOf(await store.read('a'))).toBe('absent');
  });

  it('fails with CREDENTIAL_MISSING if the wrapping token is missing at the first login', async () => {
    await using store = await open();
    expect(codeOf(await store.read('a'))).toBe('CREDENTIAL_MISSING');
  });
});
