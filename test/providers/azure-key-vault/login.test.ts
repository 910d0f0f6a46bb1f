import { describe, expect, it } from 'vitest';
import { isTransient } from '../../../src/core/errors.ts';
import { codeOf, reveal } from '../../conformance/provider.ts';
import { createManualTime } from '../../fakes/manual-time.ts';
import { BY_SECRET, CLIENT, CLIENT_SECRET, openAzure } from './harness.ts';

type Store = Awaited<ReturnType<typeof openAzure>>;

const keys = Array.from({ length: 30 }, (_, index) => `k${index}`);

async function readAll(store: Store) {
  return store.provider.read(keys.map((key) => ({ key })));
}

function fill(store: Store) {
  for (const key of keys) store.server.secrets.put(key, 'x');
}

describe('the login to Key Vault', () => {
  it('logs in once for many reads, and sends only the first read without a token', async () => {
    await using store = await openAzure();
    fill(store);
    const results = await readAll(store);
    expect(results.map(codeOf)).toEqual(keys.map(() => 'found'));
    await readAll(store);
    expect(store.server.login.counts).toMatchObject({ discovery: 1, token: 1 });
    expect(store.server.requests.filter((line) => line.startsWith('vault'))).toHaveLength(61);
  });

  it('logs in once, even if the token has expired by our clock', async () => {
    const time = createManualTime(Date.now());
    await using store = await openAzure({ deps: { clock: time } });
    store.server.secrets.put('a', '1');
    const { login } = store.server;
    const answer = login.answerAuthority;
    login.answerAuthority = (...request) => {
      const reply = answer(...request);
      return { ...reply, body: reply.body.replace('"expires_in":3600', '"expires_in":-3600') };
    };
    for (let reads = 0; reads < 5; reads += 1) expect(reveal(await store.read('a'))).toBe('1');
    expect(login.counts.token).toBe(1);
    await time.advance(10_000);
    expect(reveal(await store.read('a'))).toBe('1');
    expect(login.counts.token).toBe(2);
  });

  it('uses one login for reads of secrets, keys and certificates', async () => {
    await using store = await openAzure();
    store.server.secrets.put('a', '1');
    store.server.keys.put('a', '{"kty":"EC"}');
    await store.provider.read([
      { key: 'a' },
      { key: 'a', object: 'key' },
      { key: 'b', object: 'certificate' },
    ]);
    expect(store.server.login.counts.token).toBe(1);
  });

  it('logs in again before the token expires, with the client secret that is configured at that time', async () => {
    const time = createManualTime(Date.now());
    await using store = await openAzure({ server: { now: time.now }, deps: { clock: time } });
    store.server.login.lifetime = 60;
    store.server.secrets.put('a', '1');
    await store.read('a');
    await store.read('a');
    expect(store.server.login.counts.token).toBe(1);
    store.server.login.applications.set(CLIENT, { secret: 'rotated' });
    store.env.CLIENT_SECRET = 'rotated';
    await time.advance(55_000); // The token is valid for five more seconds. So no read waits for the new token.
    expect(reveal(await store.read('a'))).toBe('1');
    await expect.poll(() => store.server.login.issued.size).toBe(2);
    await time.advance(5_001);
    expect(reveal(await store.read('a'))).toBe('1');
    expect(store.server.login.counts.token).toBe(2);
  });

  it('logs in again once if the vault no longer accepts the token', async () => {
    await using store = await openAzure();
    fill(store);
    await readAll(store);
    store.server.login.revokeAll();
    expect((await readAll(store)).map(codeOf)).toEqual(keys.map(() => 'found'));
    expect(store.server.login.counts.token).toBe(2);
  });

  it('waits for a while after a refused login, and sends no request to the vault before the next login', async () => {
    const time = createManualTime(Date.now());
    await using store = await openAzure({ deps: { clock: time, env: { CLIENT_SECRET: 'wrong' } } });
    fill(store);
    expect((await readAll(store)).map(codeOf)).toEqual(keys.map(() => 'AUTH_FAILED'));
    await readAll(store);
    expect(store.server.login.counts.token).toBe(1);
    expect(store.sent().filter((line) => line.startsWith('vault'))).toHaveLength(1);
    store.env.CLIENT_SECRET = CLIENT_SECRET;
    await time.advance(10_000);
    expect(codeOf(await store.read('k0'))).toBe('found');
  });

  it('fails a login whose token the vault never accepts, and logs in again a minute later', async () => {
    const time = createManualTime(Date.now());
    await using store = await openAzure({ deps: { clock: time } });
    store.server.secrets.put('a', '1');
    store.server.login.lifetime = -1; // From now on, the authority issues expired tokens.
    expect(codeOf(await store.read('a'))).toBe('AUTH_FAILED');
    store.server.login.lifetime = 3600;
    await time.advance(60_000);
    expect(reveal(await store.read('a'))).toBe('1');
  });

  it('continues a login for other callers if one caller aborts', async () => {
    await using store = await openAzure();
    fill(store);
    const controller = new AbortController();
    const reason = new Error('enough');
    const first = store.provider.read([{ key: 'k0' }], { signal: controller.signal });
    const others = readAll(store);
    controller.abort(reason);
    await expect(first).rejects.toBe(reason);
    expect((await others).map(codeOf)).toEqual(keys.map(() => 'found'));
  });

  it('lets other operations start after the login, even if the operation that caused the login is slow', async () => {
    await using store = await openAzure();
    fill(store);
    let started = false;
    const ends = Promise.withResolvers<void>();
    store.server.nextLink = (link) => {
      if (!started) void readAll(store).then(() => ends.resolve());
      started = true;
      return link.replace(/%24skiptoken=\d+/, '%24skiptoken=0');
    };
    const search = store.provider.find({ path: '', tags: {} }).catch((error: unknown) => error);
    await ends.promise; // The operation that caused the login, a search without an end, is still running.
    store.server.nextLink = (link) => link;
    expect(await search).toContain('k0');
  });

  it('logs in to the configured tenant, and not to the tenant that the vault names', async () => {
    await using store = await openAzure();
    store.server.tenant = '33333333-3333-4333-8333-333333333333';
    store.server.secrets.put('a', '1');
    expect(reveal(await store.read('a'))).toBe('1');
    expect(store.sent().some((line) => line.includes('33333333'))).toBe(false);
  });

  it('requests no token if the vault asks for a token of another service', async () => {
    await using store = await openAzure();
    store.server.resource = 'https://management.azure.com';
    store.server.secrets.put('a', '1');
    expect(codeOf(await store.read('a'))).toBe('AUTH_FAILED');
    expect(store.server.login.issued.size).toBe(0);
  });
});

describe('a failed login', () => {
  it.each([
    ['no such tenant', { tenantId: 'nobody.example.org' }, 'the tenant does not exist'],
    ['no such application', { clientId: '4' }, 'no application with this client ID'],
    ['an invalid tenant', { tenantId: 'a b/c' }, 'the credentials cannot be used to log in'],
  ])('explains a failed login if the cause is %s', async (_, wrong, words) => {
    await using store = await openAzure({ config: { auth: { ...BY_SECRET.auth, ...wrong } } });
    const result = await store.read('a');
    expect(codeOf(result)).toBe('AUTH_FAILED');
    expect(result).toMatchObject({ error: { detail: expect.stringContaining(words) } });
  });

  it('explains a failed login if the client secret is wrong', async () => {
    await using store = await openAzure({ deps: { env: { CLIENT_SECRET: 'wrong' } } });
    expect(await store.read('a')).toMatchObject({
      error: { code: 'AUTH_FAILED', detail: expect.stringContaining('the client secret is wrong') },
    });
  });

  it.each([
    ['unavailable', 'STORE_UNAVAILABLE'],
    ['server error', 'STORE_UNAVAILABLE'],
    ['bad gateway, in HTML', 'STORE_UNAVAILABLE'],
    ['throttled, for 2 seconds', 'THROTTLED'],
    ['hang', 'TIMEOUT'],
    ['hang in the body', 'TIMEOUT'],
    ['reset', 'STORE_UNAVAILABLE'],
    ['cut', 'STORE_UNAVAILABLE'],
    ['not HTTP', 'BAD_ANSWER'],
    ['redirect', 'BAD_ANSWER'],
    ['html', 'BAD_ANSWER'],
    ['invalid JSON', 'BAD_ANSWER'],
    ['not UTF-8', 'BAD_ANSWER'],
    ['empty', 'BAD_ANSWER'],
    ['endless', 'TOO_LARGE'],
    ['unauthorized', 'AUTH_FAILED'],
  ] as const)(
    'converts the login fault "%s" to %s immediately, and does not wait for 60 seconds',
    async (fault, code) => {
      const time = createManualTime(Date.now());
      for (const line of [/^authority GET/, /^authority POST/]) {
        await using store = await openAzure({ deps: { clock: time } });
        store.server.secrets.put('a', '1');
        store.server.fail(fault, line);
        expect(codeOf(await store.read('a'))).toBe(code);
        store.server.fail(undefined);
        if (!isTransient(code)) await time.advance(10_000);
        expect(codeOf(await store.read('a'))).toBe('found');
      }
    },
  );
});
