import { describe, expect, it } from 'vitest';
import { AppError } from '../../../src/core/errors.ts';
import { SecretValue } from '../../../src/core/secret-value.ts';
import type { Answer } from '../../../src/providers/answer.ts';
import { type Command, createClient, type VaultClient } from '../../../src/providers/vault/client.ts';
import { VaultConfig } from '../../../src/providers/vault/config.ts';
import type { Grant } from '../../../src/providers/vault/grant.ts';
import { createLogin } from '../../../src/providers/vault/login.ts';
import { mountQuery } from '../../../src/providers/vault/mount.ts';
import { createSession } from '../../../src/providers/vault/session.ts';
import { codeOf } from '../../conformance/provider.ts';
import { testDeps } from '../../conformance/provider-deps.ts';
import { createManualTime } from '../../fakes/manual-time.ts';
import { startVaultServer } from '../../fakes/vault-server.ts';
import { APP_ROLE, openVault } from './harness.ts';

const keys = (count: number) => Array.from({ length: count }, (_, index) => ({ key: `k${index}` }));

describe('the login to Vault', () => {
  it('logs in once for all reads', async () => {
    await using store = await openVault({ config: APP_ROLE });
    await Promise.all([store.provider.read(keys(20)), store.provider.read(keys(20))]);
    await store.provider.read(keys(5));
    expect(store.server.logins).toBe(1);
  });

  it('after the token was revoked, all reads share one new login', async () => {
    await using store = await openVault({ config: APP_ROLE });
    store.server.put('secret', 'k1', '{}');
    await store.read('k1');
    store.server.revokeAll();
    const results = await store.provider.read(keys(20));
    expect(results.filter(({ kind }) => kind === 'failed')).toEqual([]);
    expect(store.server.logins).toBe(2);
  });

  it('does not log in again after a denied read if the token is still valid', async () => {
    await using store = await openVault({ config: APP_ROLE });
    store.server.put('secret', 'k1', '{}');
    store.server.deny(/secret\/data\/k[02-9]/);
    const results = await store.provider.read(keys(10));
    expect(results.map(codeOf)).toEqual(
      Array.from({ length: 10 }, (_, i) => (i === 1 ? 'found' : 'ACCESS_DENIED')),
    );
    expect(store.server.logins).toBe(1);
    expect(store.sent().filter((line) => line.endsWith('lookup-self'))).toHaveLength(1);
  });

  it('does not log in again after a denied read if the token is valid but is not allowed to use lookup-self', async () => {
    const clock = createManualTime();
    await using store = await openVault({ config: APP_ROLE, deps: { clock } });
    store.server.appRole.mayLookUp = false;
    store.server.put('secret', 'k1', '{}');
    store.server.deny(/secret\/data\/k0/);
    for (let round = 0; round < 5; round += 1) {
      expect(codeOf(await store.read('k0'))).toBe('ACCESS_DENIED');
      clock.set(clock.now() + 61_000);
    }
    expect(store.server.logins).toBe(1);
    store.server.revokeAll();
    expect(codeOf(await store.read('k1'))).toBe('found');
    expect(store.server.logins).toBe(2);
  });

  it('logs in again at most once a minute if the identity has no permissions at all', async () => {
    await using store = await openVault({ config: APP_ROLE });
    store.server.appRole.mayLookUp = false;
    store.server.deny(/secret\/data\/k0|sys\/internal/);
    for (let round = 0; round < 5; round += 1) expect(codeOf(await store.read('k0'))).toBe('ACCESS_DENIED');
    expect(store.server.logins).toBe(2);
  });

  it('fails with AUTH_FAILED if the login is refused, and does not log in again immediately', async () => {
    await using store = await openVault({ config: APP_ROLE, deps: { env: { SECRET_ID: 'wrong' } } });
    const results = await store.provider.read(keys(50));
    await store.provider.read(keys(50));
    expect(new Set(results.map(codeOf))).toEqual(new Set(['AUTH_FAILED']));
    expect(store.sent()).toEqual(['POST auth/approle/login']);
  });

  it('logs in with the new credential some time after a refused login', async () => {
    const clock = createManualTime();
    await using store = await openVault({ config: APP_ROLE, deps: { clock, env: { SECRET_ID: 'wrong' } } });
    expect(codeOf(await store.read('a'))).toBe('AUTH_FAILED');
    store.env.SECRET_ID = store.server.appRole.secretId;
    clock.set(clock.now() + 11_000);
    expect(codeOf(await store.read('a'))).toBe('absent');
  });

  it('fails with CREDENTIAL_MISSING if the credential is missing, and names its location', async () => {
    await using store = await openVault({ config: APP_ROLE, deps: { env: { SECRET_ID: '' } } });
    const [result] = await store.provider.read([{ key: 'a' }]);
    expect(result).toMatchObject({
      error: { code: 'CREDENTIAL_MISSING', message: expect.stringContaining('SECRET_ID') },
    });
  });

  it('continues a login for other callers if one caller aborts', async () => {
    await using store = await openVault({ config: APP_ROLE, deps: { timeoutMs: 5_000 } });
    store.proxy.set('hang', /login/);
    const controller = new AbortController();
    const gaveUp = store.provider.read([{ key: 'a' }], { signal: controller.signal });
    const arrival = store.proxy.arrival(/login/);
    await arrival;
    controller.abort(new Error('enough'));
    await expect(gaveUp).rejects.toThrow('enough');
    expect(store.server.logins).toBe(0);
  });

  it('revokes the token when the store is closed, unless the token is configured', async () => {
    const store = await openVault({ config: APP_ROLE });
    await store.read('a');
    expect(store.server.tokens.size).toBe(2);
    const before = [...store.server.tokens];
    await store.provider[Symbol.asyncDispose]();
    expect([...store.server.tokens]).toEqual([store.server.rootToken]);
    for (const token of before) expect(store.server.bodies.join('\n')).not.toContain(token);
    await store[Symbol.asyncDispose]();

    await using configured = await openVault();
    await configured.read('a');
    await configured.provider[Symbol.asyncDispose]();
    expect(configured.sent()).not.toContain('POST auth/token/revoke-self');
  });

  it('closes the store even if the server does not answer the request to revoke the token', async () => {
    const store = await openVault({ config: APP_ROLE });
    await store.read('a');
    store.proxy.set('reset');
    await store[Symbol.asyncDispose]();
  });
});

describe.each(['wrong mount', 'not found, in HTML', 'not allowed'] as const)(
  'the login through a proxy that blocks lookup-self (%s)',
  (fault) => {
    const open = async (options: Parameters<typeof openVault>[0]) => {
      const store = await openVault(options);
      store.proxy.set(fault, /lookup-self/);
      store.server.put('secret', 'k1', '{}');
      store.server.deny(/secret\/data\/k0/);
      return store;
    };

    it('reads with a valid configured token, and fails with AUTH_FAILED if the token is invalid', async () => {
      await using store = await open({});
      expect(codeOf(await store.read('k1'))).toBe('found');
      expect(codeOf(await store.read('k0'))).toBe('ACCESS_DENIED');
      expect((await store.provider.check()).filter(({ error }) => error)).toEqual([]);
      await using wrong = await open({ deps: { env: { TOKEN: 'wrong' } } });
      expect(codeOf(await wrong.read('k1'))).toBe('AUTH_FAILED');
    });

    it('logs in again after the token was revoked, but not if only a permission is missing', async () => {
      const clock = createManualTime();
      await using store = await open({ config: APP_ROLE, deps: { clock } });
      expect(codeOf(await store.read('k0'))).toBe('ACCESS_DENIED');
      expect(store.server.logins).toBe(1);
      clock.set(clock.now() + 61_000);
      store.server.revokeAll();
      expect(codeOf(await store.read('k1'))).toBe('found');
      expect(store.server.logins).toBe(2);
    });
  },
);

describe('a Vault token with limited uses', () => {
  it('counts a use of the token only for a request that was sent, and revokes the token if uses remain', async () => {
    const answer: Answer = {
      status: 200,
      text: '{}',
      isJson: true,
      retryAfterMs: undefined,
      date: undefined,
    };
    const written: string[] = [];
    const vault = {
      async write(path: string) {
        written.push(path);
        return answer;
      },
    } as unknown as Parameters<Command>[0];
    let isAway = true;
    const client: VaultClient = {
      async call(command) {
        if (isAway) throw new AppError('STORE_UNAVAILABLE');
        return (await command(vault, {})) as Answer;
      },
      reconnect: () => undefined,
      async [Symbol.asyncDispose]() {},
    };
    let logins = 0;
    const attempt = async (): Promise<Grant> => {
      logins += 1;
      const token = SecretValue.fromText(`token-${logins}`);
      return { token, ttlMs: undefined, renewable: false, uses: 2, isOwn: true };
    };
    const ask: Command = async () => answer;
    await using session = createSession({
      client,
      login: { attempt, hasNewCredentials: async () => false, mayLock: false },
      proof: ask,
      clock: createManualTime(),
    });
    for (let n = 0; n < 5; n += 1)
      expect(await session.call('read', ask, undefined).catch(({ code }) => code)).toBe('STORE_UNAVAILABLE');
    isAway = false;
    for (const expected of [1, 1, 2]) {
      await session.call('read', ask, undefined);
      expect(logins).toBe(expected);
    }
    expect(written).toEqual([]);
    await session[Symbol.asyncDispose]();
    expect(written).toEqual(['auth/token/revoke-self']);
  });
});

describe('a configured Vault token', () => {
  it('fails with AUTH_FAILED if the configured token is invalid', async () => {
    await using store = await openVault({ deps: { env: { TOKEN: 'wrong' } } });
    expect((await store.provider.read(keys(3))).map(codeOf)).toEqual([
      'AUTH_FAILED',
      'AUTH_FAILED',
      'AUTH_FAILED',
    ]);
    expect((await store.provider.check()).map(({ name, error }) => [name, error?.code])).toEqual([
      ['reach', undefined],
      ['login', 'AUTH_FAILED'],
    ]);
  });

  it('reads permitted keys with a token that is not allowed to look itself up', async () => {
    await using store = await openVault({ deps: { env: { TOKEN: 'narrow' } } });
    store.server.addToken('narrow', { mayLookUp: false });
    store.server.put('secret', 'k1', '{}');
    store.server.deny(/secret\/data\/k0/);
    expect(codeOf(await store.read('k0'))).toBe('ACCESS_DENIED');
    expect(codeOf(await store.read('k1'))).toBe('found');
    expect((await store.provider.check()).filter(({ error }) => error)).toEqual([]);
  });

  it('reads the configured token from its source again after the server refused it', async () => {
    await using store = await openVault({ deps: { env: { TOKEN: 'old' } } });
    store.server.addToken('old');
    expect(codeOf(await store.read('a'))).toBe('absent');
    store.server.revokeAll();
    store.server.addToken('new');
    store.env.TOKEN = 'new';
    expect(codeOf(await store.read('a'))).toBe('absent');
  });

  it('fails with AUTH_FAILED and does not send the token if it contains invalid characters', async () => {
    await using store = await openVault({ deps: { env: { TOKEN: 'a\nX-Evil: 1' } } });
    expect(codeOf(await store.read('a'))).toBe('AUTH_FAILED');
    expect(store.sent()).toEqual([]);
  });
});

describe('the renewal of a Vault token', () => {
  /** @param isOwn Whether our login creates the token. Otherwise the configuration provides it. */
  async function open(ttl: number, isOwn = true) {
    const server = await startVaultServer();
    const time = createManualTime();
    server.appRole.ttl = ttl;
    const deps = testDeps({
      clock: time,
      env: { SECRET_ID: server.appRole.secretId },
      limit: (call, signal = new AbortController().signal) => call(signal),
    });
    const config = VaultConfig.parse({
      kind: 'vault',
      address: server.address,
      auth: { method: 'appRole', roleId: 'role', secretId: { env: 'SECRET_ID' } },
    });
    const client = createClient(config, deps);
    const renewals: number[] = [];
    const progress: (string | undefined)[] = [];
    const started = time.now();
    server.onRenewal = () => renewals.push((time.now() - started) / 1000);
    const login = createLogin(config, client, deps);
    const session = createSession({
      client,
      login: {
        attempt: async (signal, refused) => ({ ...(await login.attempt(signal, refused)), isOwn }),
        hasNewCredentials: () => login.hasNewCredentials(),
        mayLock: login.mayLock,
      },
      proof: mountQuery(config),
      clock: time,
      wake: time.wake,
      onRenewal: (error) => progress.push(error?.code),
    });
    return {
      server,
      time,
      session,
      renewals,
      progress,
      /** Advances the clock to the next renewal, and waits for the request. */
      async next() {
        const [wait = 0] = time.waiting;
        const before = server.requests.length;
        await time.advance(wait);
        await expect.poll(() => server.requests.length, { interval: 1 }).toBeGreaterThan(before);
        await expect.poll(() => time.waiting.length, { interval: 1 }).toBeGreaterThan(0);
      },
      async [Symbol.asyncDispose]() {
        await session[Symbol.asyncDispose]();
        await client[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  }

  it('renews the token after two thirds of each lifetime', async () => {
    await using fixture = await open(300);
    await fixture.session.ensure(undefined);
    expect(fixture.time.waiting).toEqual([200_000]);
    await fixture.next();
    await fixture.next();
    expect(fixture.renewals).toEqual([200, 400]);
    await fixture.session.ensure(undefined);
    expect(fixture.server.logins).toBe(1);
  });

  it.each([
    [true, 0],
    [false, 1],
  ])('revokes the token at the end only if our own login created it (own login: %s)', async (isOwn, kept) => {
    const fixture = await open(300, isOwn);
    await fixture.session.ensure(undefined);
    await fixture.next();
    await fixture.session[Symbol.asyncDispose]();
    const leased = [...fixture.server.tokens].filter((token) => token !== fixture.server.rootToken);
    expect(leased).toHaveLength(kept);
    await fixture[Symbol.asyncDispose]();
  });

  it('does not renew the token immediately if its lifetime is 768 hours or a year', async () => {
    await using fixture = await open(768 * 3600);
    await fixture.session.ensure(undefined);
    expect(fixture.time.waiting).toEqual([768 * 3600 * 1000 * (2 / 3)]);
    await using year = await open(365 * 24 * 3600);
    await year.session.ensure(undefined);
    expect(year.time.waiting).toEqual([2 ** 31 - 1]);
    await year.time.advance(2 ** 31 - 1);
    expect(year.renewals).toEqual([]);
    expect(year.time.waiting).toHaveLength(1);
  });

  it('leaves no timer after the session is closed', async () => {
    await using fixture = await open(300);
    await fixture.session.ensure(undefined);
    await fixture.session[Symbol.asyncDispose]();
    expect(fixture.time.waiting).toEqual([]);
  });

  it('stops renewing the token at its maximum lifetime, and logs in again when the token expires', async () => {
    await using fixture = await open(300);
    await fixture.session.ensure(undefined);
    fixture.server.appRole.ttl = 100; // The token reaches its maximum lifetime after this many seconds.
    await fixture.time.advance(200_000);
    await expect.poll(() => fixture.renewals.length, { interval: 1 }).toBe(1);
    await expect.poll(() => fixture.time.waiting.length, { interval: 1 }).toBe(0);
    await fixture.time.advance(99_000);
    await fixture.session.ensure(undefined);
    expect(fixture.server.logins).toBe(2);
  });

  it('tries the renewal again before the token expires if the server is unavailable', async () => {
    await using fixture = await open(300);
    await fixture.session.ensure(undefined);
    fixture.server.failRenewals = true;
    await fixture.next();
    await fixture.next();
    fixture.server.failRenewals = false;
    await fixture.next();
    expect(fixture.renewals.length).toBe(3);
    expect(fixture.renewals.at(-1)).toBeLessThan(300);
    expect(fixture.progress).toEqual(['STORE_UNAVAILABLE', 'STORE_UNAVAILABLE', undefined]);
    await fixture.session.ensure(undefined);
    expect(fixture.server.logins).toBe(1);
  });
});
