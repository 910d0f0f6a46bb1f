import { expect, it } from 'vitest';
import { createStores, type StoresDeps } from '../../src/app/stores.ts';
import { StoreConfig } from '../../src/config/schema.ts';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { resolveCredential } from '../../src/providers/credentials.ts';
import { codeOf } from '../conformance/provider.ts';
import { untilHang } from '../conformance/provider-deps.ts';
import { type FakeTimers, useFakeTimers } from '../fakes/fake-timers.ts';
import { startFaultProxy } from '../fakes/fault-proxy.ts';
import { startVaultServer } from '../fakes/vault-server.ts';

/** Advances the time while the work waits for a timer, such as the wait before a retry. */
async function until<T>(time: FakeTimers, work: Promise<T>): Promise<T> {
  let isEnded = false;
  const ended = work.finally(() => {
    isEnded = true;
  });
  while (!isEnded) await time.advance(1);
  return ended;
}

/** Opens two stores on separate servers, the first behind a faulty proxy. */
async function openTwo(more: object = {}) {
  const [server, other] = await Promise.all([startVaultServer(), startVaultServer()]);
  const proxy = await startFaultProxy(server.address);
  const time = useFakeTimers();
  const env = { SECRET_ID: server.appRole.secretId, OTHER: other.rootToken };
  const states: string[] = [];
  const outcomes: string[] = [];
  const deps: StoresDeps = {
    clock: time,
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
      const results = await until(time, provider.read(wanted.map((key) => ({ key }))));
      return results.map(codeOf);
    },
    /** Advances the clock, and waits for the work that its timers start. */
    async pass(ms: number, requests: number) {
      const before = proxy.requests.length;
      await time.advance(ms);
      await expect.poll(() => proxy.requests.length, { interval: 1 }).toBe(before + requests);
    },
    async [Symbol.asyncDispose]() {
      await stores[Symbol.asyncDispose]();
      await Promise.all([proxy, server, other].map((setup) => setup[Symbol.asyncDispose]()));
    },
  };
}

it('a Vault store reports each request, and the outcome of that request, for the metrics', async () => {
  await using setup = await openTwo();
  await setup.read('first', 'k', 'gone');
  const provider = await setup.stores.open('first');
  await provider.find({ path: '', tags: {} });
  await provider.versions(['k']);
  setup.server.deny(/secret\/data\/k/);
  await setup.read('first');
  expect(setup.outcomes).toEqual([
    'first login ok',
    'first read ok',
    'first read ok', // a read that finds no key counts as a successful read
    'first describe ok',
    'first list ok',
    'first describe ok',
    'first read ACCESS_DENIED',
    'first login ok',
  ]);
});

it.each(['unavailable', 'reset', 'hang', 'sealed'] as const)(
  'a Vault store detects that its server is down (%s), pauses, and recovers by itself',
  async (fault) => {
    await using setup = await openTwo();
    expect(await setup.read('first')).toEqual(['found']);
    setup.proxy.set(fault);
    await setup.read('first');
    await expect.poll(() => setup.stores.state('first').breakerOpen, { interval: 1 }).toBe(true);
    const requestsBefore = setup.proxy.requests.length;
    const codes = await setup.read('first', ...Array.from({ length: 100 }, (_, index) => `k${index}`));
    expect(new Set(codes)).toEqual(new Set([fault === 'hang' ? 'TIMEOUT' : 'STORE_UNAVAILABLE']));
    expect(setup.proxy.requests.length).toBe(requestsBefore);
    expect(await setup.read('second')).toEqual(['found']);

    await setup.pass(2_000, 1);
    setup.proxy.set(undefined);
    await expect
      .poll(
        async () => {
          await setup.time.advance(1_000);
          return setup.stores.state('first').breakerOpen;
        },
        { interval: 1 },
      )
      .toBe(false);
    expect(setup.states.at(-1)).toBe('first up');
    expect(await setup.read('first')).toEqual(['found']);
  },
);

it('a Vault store pauses for as many seconds as a throttling server requests', async () => {
  await using setup = await openTwo();
  await setup.read('first');
  setup.proxy.set('throttled for an hour', /data/);
  expect(await setup.read('first')).toEqual(['THROTTLED']);
  setup.proxy.set(undefined);
  const requestsBefore = setup.proxy.requests.length;
  expect(await setup.read('first', 'k', 'l', 'm')).toEqual(['THROTTLED', 'THROTTLED', 'THROTTLED']);
  expect(setup.proxy.requests.length).toBe(requestsBefore);
  expect(setup.states).toEqual(['first degraded THROTTLED']);
  expect(await setup.read('second')).toEqual(['found']);
  await setup.time.advance(5 * 60_000);
  expect(await setup.read('first')).toEqual(['found']);
});

it('a Vault store recovers from a revoked token with a single login', async () => {
  await using setup = await openTwo();
  await setup.read('first');
  setup.server.revokeAll();
  const codes = await Promise.all(Array.from({ length: 50 }, () => setup.read('first')));
  expect(codes.flat().every((code) => code === 'found')).toBe(true);
  expect(setup.server.logins).toBe(2);
  expect(setup.states).toEqual([]);
});

it('a Vault store backs off after a refused login, and uses new credentials immediately after a reset', async () => {
  await using setup = await openTwo();
  const right = setup.env.SECRET_ID;
  setup.env.SECRET_ID = 'wrong';
  const logins = () => setup.proxy.requests.filter(({ path }) => path.endsWith('/login')).length;
  for (let second = 0; second < 300; second += 1) {
    expect(await setup.read('first', 'k', 'l')).toEqual(['AUTH_FAILED', 'AUTH_FAILED']);
    await setup.time.advance(1_000);
  }
  expect(logins()).toBeLessThanOrEqual(8); // the store retries after 10, 20 and 40 s, then every minute
  expect(setup.stores.state('first')).toMatchObject({ state: 'down', breakerOpen: false });
  setup.env.SECRET_ID = right;
  setup.stores.reset('first');
  expect(await setup.read('first')).toEqual(['found']);
  expect(setup.states).toEqual(['first down AUTH_FAILED', 'first up']);
});

it('a Vault store reuses the login from a wrapped secret id until the process ends', async () => {
  await using setup = await openTwo({ secretIdWrapped: true });
  setup.env.SECRET_ID = setup.server.wrap(setup.server.appRole.secretId);
  expect(await setup.read('first')).toEqual(['found']);
  setup.stores.reconfigure(setup.configs({ requestsPerSecond: 40 }));
  expect(await setup.read('first')).toEqual(['found']);
  setup.stores.reset('first');
  expect(await setup.read('first')).toEqual(['found']);
  setup.env.SECRET_ID = ''; // Users may delete the secret id after its use.
  setup.stores.reset('first');
  expect(await setup.read('first')).toEqual(['found']);
  await using reopened = createStores(setup.configs(), setup.deps);
  const provider = await reopened.open('first');
  expect((await provider.read([{ key: 'k' }])).map(codeOf)).toEqual(['found']);
  expect(setup.proxy.requests.filter(({ path }) => path.endsWith('/unwrap'))).toHaveLength(1);
});

it('a Vault store unwraps a secret id once for concurrent logins, and accepts a new wrapped secret id', async () => {
  await using setup = await openTwo({ secretIdWrapped: true });
  setup.env.SECRET_ID = setup.server.wrap(setup.server.appRole.secretId);
  await using other = createStores(setup.configs(), setup.deps);
  const read = async (): Promise<unknown> => {
    const provider = await other.open('first');
    return (await provider.read([{ key: 'k' }])).map(codeOf);
  };
  expect(await Promise.all([setup.read('first'), read()])).toEqual([['found'], ['found']]);
  setup.server.appRole.secretId = 'renewed';
  setup.env.SECRET_ID = setup.server.wrap('renewed');
  setup.stores.reset('first');
  expect(await setup.read('first')).toEqual(['found']);
  expect(setup.proxy.requests.filter(({ path }) => path.endsWith('/unwrap'))).toHaveLength(2);
});

it('a Vault store is reported as up when the login works, even if no key is readable', async () => {
  await using setup = await openTwo();
  const right = setup.env.SECRET_ID;
  setup.env.SECRET_ID = 'wrong';
  expect(await setup.read('first')).toEqual(['AUTH_FAILED']);
  setup.env.SECRET_ID = right;
  setup.server.deny(/secret\/data/);
  await setup.time.advance(60_000);
  expect(await setup.read('first')).toEqual(['ACCESS_DENIED']);
  expect(setup.states).toEqual(['first down AUTH_FAILED', 'first up']);
  // After all tokens are revoked, the next read needs a new login, and that login fails.
  setup.server.revokeAll();
  setup.env.SECRET_ID = 'wrong';
  await setup.time.advance(60_000);
  expect(await setup.read('first')).toEqual(['AUTH_FAILED']);
  expect(setup.states.at(-1)).toBe('first down AUTH_FAILED');
});
