import { expect, it } from 'vitest';
import { createStores, type StoresDeps } from '../../src/app/stores.ts';
import { StoreConfig } from '../../src/config/schema.ts';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { resolveCredential } from '../../src/providers/credentials.ts';
import { codeOf } from '../conformance/provider.ts';
import { untilHang } from '../conformance/provider-deps.ts';
import { startFaultProxy } from '../fakes/fault-proxy.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { startVaultServer } from '../fakes/vault-server.ts';

/** Two stores on servers of their own, the first behind a proxy that breaks things. */
async function openTwo(more: object = {}) {
  const [server, other] = await Promise.all([startVaultServer(), startVaultServer()]);
  const proxy = await startFaultProxy(server.address);
  const time = createManualTime(Date.now());
  const env = { SECRET_ID: server.appRole.secretId, OTHER: other.rootToken };
  const states: string[] = [];
  const outcomes: string[] = [];
  const deps: StoresDeps = {
    clock: time,
    wake: time.wake,
    sleep: async (ms) => time.set(time.now() + ms),
    random: () => 0.5,
    deadline: untilHang(proxy),
    fingerprints: createFingerprinter(SecretValue.fromBytes(Buffer.alloc(32, 7))),
    credential: (reference) => resolveCredential(reference, { env }),
    observe: {
      onCall: ({ store, operation, outcome }) => outcomes.push(`${store} ${operation} ${outcome}`),
      onState: (store, state, error) =>
        states.push(`${store} ${state}${error === undefined ? '' : ` ${error.code}`}`),
    },
  };
  const auth = { method: 'appRole', roleId: 'role', secretId: { env: 'SECRET_ID' } };
  const first = { kind: 'vault', name: 'first', address: proxy.address, auth: { ...auth, ...more } };
  const second = {
    kind: 'vault',
    name: 'second',
    address: other.address,
    auth: { method: 'token', token: { env: 'OTHER' } },
  };
  const configs = (limits: object = {}) =>
    [{ ...first, limits }, second].map((store) => StoreConfig.parse(store));
  const stores = createStores(configs(), deps);
  server.put('secret', 'k', '{"a":1}');
  other.put('secret', 'k', '{"a":1}');
  return {
    server,
    proxy,
    time,
    env,
    deps,
    configs,
    stores,
    states,
    outcomes,
    async read(store: string, ...keys: readonly string[]) {
      const provider = await stores.open(store);
      const wanted = keys.length === 0 ? ['k'] : keys;
      return (await provider.read(wanted.map((key) => ({ key })))).map(codeOf);
    },
    /** Lets time go by, and waits for what its timers asked. */
    async pass(ms: number, requests: number) {
      const before = proxy.requests.length;
      await time.advance(ms);
      await expect.poll(() => proxy.requests.length, { interval: 1 }).toBe(before + requests);
    },
    async [Symbol.asyncDispose]() {
      await stores[Symbol.asyncDispose]();
      await Promise.all([proxy, server, other].map((it) => it[Symbol.asyncDispose]()));
    },
  };
}

it('names each request, and how it ended, for the metrics', async () => {
  await using it = await openTwo();
  await it.read('first', 'k', 'gone');
  const provider = await it.stores.open('first');
  await provider.find({ path: '', tags: {} });
  await provider.versions(['k']);
  it.server.deny(/secret\/data\/k/);
  await it.read('first');
  expect(it.outcomes).toEqual([
    'first login ok',
    'first read ok',
    'first read ok', // an absent key is an answer
    'first describe ok',
    'first list ok',
    'first describe ok',
    'first read ACCESS_DENIED',
    'first login ok',
  ]);
});

it.each(['unavailable', 'reset', 'hang', 'sealed'] as const)(
  'finds out that a server is away (%s), leaves it alone, and sees by itself when it is back',
  async (fault) => {
    await using it = await openTwo();
    expect(await it.read('first')).toEqual(['found']);
    it.proxy.set(fault);
    await it.read('first');
    await expect.poll(() => it.stores.state('first').breakerOpen, { interval: 1 }).toBe(true);
    const asked = it.proxy.requests.length;
    const codes = await it.read('first', ...Array.from({ length: 100 }, (_, index) => `k${index}`));
    expect(new Set(codes)).toEqual(new Set([fault === 'hang' ? 'TIMEOUT' : 'STORE_UNAVAILABLE']));
    expect(it.proxy.requests.length).toBe(asked);
    expect(await it.read('second')).toEqual(['found']);

    await it.pass(2_000, 1);
    it.proxy.set(undefined);
    await expect
      .poll(
        async () => {
          await it.time.advance(1_000);
          return it.stores.state('first').breakerOpen;
        },
        { interval: 1 },
      )
      .toBe(false);
    expect(it.states.at(-1)).toBe('first up');
    expect(await it.read('first')).toEqual(['found']);
  },
);

it('obeys a server that throttles, and asks nothing of it until then', async () => {
  await using it = await openTwo();
  await it.read('first');
  it.proxy.set('throttled for an hour', /data/);
  expect(await it.read('first')).toEqual(['THROTTLED']);
  it.proxy.set(undefined);
  const asked = it.proxy.requests.length;
  expect(await it.read('first', 'k', 'l', 'm')).toEqual(['THROTTLED', 'THROTTLED', 'THROTTLED']);
  expect(it.proxy.requests.length).toBe(asked);
  expect(it.states).toEqual(['first degraded THROTTLED']);
  expect(await it.read('second')).toEqual(['found']);
  await it.time.advance(5 * 60_000);
  expect(await it.read('first')).toEqual(['found']);
});

it('survives a revoked token, by one login for all', async () => {
  await using it = await openTwo();
  await it.read('first');
  it.server.revokeAll();
  const codes = await Promise.all(Array.from({ length: 50 }, () => it.read('first')));
  expect(codes.flat().every((code) => code === 'found')).toBe(true);
  expect(it.server.logins).toBe(2);
  expect(it.states).toEqual([]);
});

it('does not hammer a server that refuses the login, and uses other credentials at once after a reset', async () => {
  await using it = await openTwo();
  const right = it.env.SECRET_ID;
  it.env.SECRET_ID = 'wrong';
  const logins = () => it.proxy.requests.filter(({ path }) => path.endsWith('/login')).length;
  for (let second = 0; second < 300; second += 1) {
    expect(await it.read('first', 'k', 'l')).toEqual(['AUTH_FAILED', 'AUTH_FAILED']);
    await it.time.advance(1_000);
  }
  expect(logins()).toBeLessThanOrEqual(8); // 10, 20 and 40 s apart, then a minute
  expect(it.stores.state('first')).toMatchObject({ state: 'down', breakerOpen: false });
  it.env.SECRET_ID = right;
  it.stores.reset('first');
  expect(await it.read('first')).toEqual(['found']);
  expect(it.states).toEqual(['first down AUTH_FAILED', 'first up']);
});

it('logs in by a wrapped secret id as long as the process lives, whatever changes of the store', async () => {
  await using it = await openTwo({ secretIdWrapped: true });
  it.env.SECRET_ID = it.server.wrap(it.server.appRole.secretId);
  expect(await it.read('first')).toEqual(['found']);
  it.stores.reconfigure(it.configs({ requestsPerSecond: 40 }));
  expect(await it.read('first')).toEqual(['found']);
  it.stores.reset('first');
  expect(await it.read('first')).toEqual(['found']);
  it.env.SECRET_ID = ''; // taken away after its use
  it.stores.reset('first');
  expect(await it.read('first')).toEqual(['found']);
  await using anew = createStores(it.configs(), it.deps);
  const provider = await anew.open('first');
  expect((await provider.read([{ key: 'k' }])).map(codeOf)).toEqual(['found']);
  expect(it.proxy.requests.filter(({ path }) => path.endsWith('/unwrap'))).toHaveLength(1);
});

it('opens a wrapped secret id once for two who log in together, and another one in its place', async () => {
  await using it = await openTwo({ secretIdWrapped: true });
  it.env.SECRET_ID = it.server.wrap(it.server.appRole.secretId);
  await using other = createStores(it.configs(), it.deps);
  const read = async (): Promise<unknown> => {
    const provider = await other.open('first');
    return (await provider.read([{ key: 'k' }])).map(codeOf);
  };
  expect(await Promise.all([it.read('first'), read()])).toEqual([['found'], ['found']]);
  it.server.appRole.secretId = 'renewed';
  it.env.SECRET_ID = it.server.wrap('renewed');
  it.stores.reset('first');
  expect(await it.read('first')).toEqual(['found']);
  expect(it.proxy.requests.filter(({ path }) => path.endsWith('/unwrap'))).toHaveLength(2);
});

it('is well again when the login works, also where none of its keys can be read', async () => {
  await using it = await openTwo();
  const right = it.env.SECRET_ID;
  it.env.SECRET_ID = 'wrong';
  expect(await it.read('first')).toEqual(['AUTH_FAILED']);
  it.env.SECRET_ID = right;
  it.server.deny(/secret\/data/);
  await it.time.advance(60_000);
  expect(await it.read('first')).toEqual(['ACCESS_DENIED']);
  expect(it.states).toEqual(['first down AUTH_FAILED', 'first up']);
  // The same answer to a token that is accepted no more is none to a login.
  it.server.revokeAll();
  it.env.SECRET_ID = 'wrong';
  await it.time.advance(60_000);
  expect(await it.read('first')).toEqual(['AUTH_FAILED']);
  expect(it.states.at(-1)).toBe('first down AUTH_FAILED');
});
