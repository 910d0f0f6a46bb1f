import { describe, expect, it } from 'vitest';
import { createStores, type Stores } from '../../src/app/stores.ts';
import { StoreConfig } from '../../src/config/schema.ts';
import type { ErrorCode } from '../../src/core/error-codes.ts';
import { AppError } from '../../src/core/errors.ts';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import type { ReadResult } from '../../src/core/read-result.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import type { ProviderDeps, SecretProvider } from '../../src/providers/provider.ts';
import { createSourceReaders, type SourceReader } from '../../src/providers/source-reader.ts';
import { type FakeTimers, useFakeTimers } from '../fakes/fake-timers.ts';

const FOUND: ReadResult = { kind: 'found', value: SecretValue.fromText('x'), version: '1' };
/** The result of a read of a fake key: a value, an error, or no answer. */
type Behaviour = 'ok' | 'hang' | ErrorCode | AppError;

function config(name: string, more: object = {}) {
  return StoreConfig.parse({
    kind: 'files',
    name,
    path: `/nowhere/${name}`,
    limits: { timeout: '10s' },
    ...more,
  });
}

/** Stores whose answers are set by the test, with a log of their calls. */
function world(...names: readonly string[]) {
  const time = useFakeTimers();
  const behaviours = new Map<string, Behaviour>();
  const calls: string[] = [];
  const probes: string[] = [];
  const opened: string[] = [];
  const closed: string[] = [];
  const farewells = new Map<string, Promise<void>>();
  const states: string[] = [];
  const outcomes: string[] = [];
  let creation: AppError | undefined;

  const behave = (behaviour: Behaviour, signal: AbortSignal): Promise<void> => {
    if (behaviour === 'ok') return Promise.resolve();
    if (behaviour instanceof AppError) return Promise.reject(behaviour);
    if (behaviour !== 'hang') return Promise.reject(new AppError(behaviour));
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  };
  const create = async ({ name }: { name: string }, { limit }: ProviderDeps): Promise<SecretProvider> => {
    if (creation !== undefined) throw creation;
    opened.push(name);
    const call = (key: string, log: string[], signal?: AbortSignal) =>
      limit(
        (limited) => {
          log.push(`${name}/${key}`);
          return behave(behaviours.get(`${name}/${key}`) ?? behaviours.get(name) ?? 'ok', limited);
        },
        signal,
        'read',
      );
    const read = async (key: string, signal?: AbortSignal): Promise<ReadResult> => {
      try {
        await call(key, calls, signal);
        return FOUND;
      } catch (error) {
        if (error instanceof AppError) return { kind: 'failed', error };
        throw error;
      }
    };
    return {
      read: (refs, { signal } = {}) => Promise.all(refs.map(({ key }) => read(key, signal))),
      versions: async (keys) => keys.map(() => ({ kind: 'unknown' })),
      find: async ({ path }) => [path],
      check: async () => [],
      probe: () => call('probe', probes),
      async [Symbol.asyncDispose]() {
        await farewells.get(name);
        closed.push(name);
      },
    };
  };
  const stores = createStores(
    names.map((name) => config(name)),
    {
      clock: time,
      fingerprints: createFingerprinter(SecretValue.fromBytes(Buffer.alloc(32, 7))),
      credential: () => Promise.reject(new AppError('CREDENTIAL_MISSING')),
      random: () => 0.5,
      observe: {
        onCall: ({ store, operation, outcome }) => outcomes.push(`${store} ${operation} ${outcome}`),
        onState: (store, state, error) =>
          states.push(`${store} ${state}${error === undefined ? '' : ` ${error.code}`}`),
      },
      create,
    },
  );
  return {
    time,
    stores,
    calls,
    probes,
    opened,
    closed,
    farewells,
    states,
    outcomes,
    set: (what: string, behaviour: Behaviour) => behaviours.set(what, behaviour),
    failCreation: (error: AppError | undefined) => {
      creation = error;
    },
    /** Starts a read, and advances the time until it ends. */
    async read(store: string, ...keys: readonly string[]) {
      return until(time, readOf(stores, store, ...keys));
    },
    [Symbol.asyncDispose]: () => stores[Symbol.asyncDispose](),
  };
}

async function readOf(stores: Stores, store: string, ...keys: readonly string[]): Promise<string[]> {
  const provider = await stores.open(store);
  const results = await provider.read(keys.map((key) => ({ key })));
  return results.map((result) => (result.kind === 'failed' ? result.error.code : result.kind));
}

async function until<T>(time: FakeTimers, work: Promise<T>): Promise<T> {
  let ended = false;
  const done = work.finally(() => {
    ended = true;
  });
  for (let step = 0; !ended && step < 1_000; step += 1) await time.advance(100);
  return done;
}

describe('an unreachable store', () => {
  it('an unreachable store is down after all attempts of one read have failed, and up after a successful probe', async () => {
    await using setup = world('a');
    setup.set('a', 'STORE_UNAVAILABLE');
    expect(await setup.read('a', 'k')).toEqual(['STORE_UNAVAILABLE']);
    expect(setup.stores.state('a')).toMatchObject({
      state: 'down',
      breakerOpen: true,
      error: { code: 'STORE_UNAVAILABLE' },
    });
    await setup.time.advance(60_000);
    setup.set('a', 'ok');
    await setup.time.advance(22_000);
    expect(setup.states.filter((state) => !state.includes('degraded'))).toEqual([
      'a down STORE_UNAVAILABLE',
      'a up',
    ]);
    expect(await setup.read('a', 'k')).toEqual(['found']);
    expect(setup.stores.state('a')).toEqual({
      state: 'up',
      breakerOpen: false,
      lastSuccess: expect.closeTo(setup.time.now(), -3),
    });
  });

  it.each(['hang', 'STORE_UNAVAILABLE', 'TLS_FAILED'] as const)(
    'an unreachable store gets only a few requests a minute, even if many reads are requested (%s)',
    async (behaviour) => {
      await using setup = world('a');
      setup.set('a', behaviour);
      const before = setup.time.now();
      let readCount = 0;
      const running = new Set<Promise<unknown>>();
      for (let second = 0; second < 15 * 60; second += 1) {
        for (let n = 0; n < 3; n += 1) {
          const read = readOf(setup.stores, 'a', `k${readCount % 500}`).finally(() => running.delete(read));
          running.add(read);
          readCount += 1;
        }
        await setup.time.advance(1_000);
      }
      await until(setup.time, Promise.all(running));
      expect(setup.time.now() - before).toBeLessThan(16 * 60_000);
      expect(readCount).toBe(2_700);
      // These requests were sent before the breaker opened. Each of the 16 slots for reads was used at most twice.
      expect(setup.calls.length).toBeLessThanOrEqual(32);
      expect(setup.probes.length).toBeLessThanOrEqual(15 * 4);
    },
  );

  it('all queued requests to an unreachable store fail immediately when the breaker opens', async () => {
    await using setup = world('a');
    setup.set('a', 'hang');
    let ended = 0;
    const reads = Array.from({ length: 100 }, (_, index) =>
      readOf(setup.stores, 'a', `k${index}`).finally(() => {
        ended += 1;
      }),
    );
    await setup.time.advance(10_000); // the first 16 reads get no answer, and neither does the probe five seconds later
    await setup.time.advance(5_001);
    expect(setup.stores.state('a').breakerOpen).toBe(true);
    expect(ended).toBeGreaterThanOrEqual(84);
    const late = readOf(setup.stores, 'a', 'late');
    await setup.time.advance(0);
    expect(await Promise.race([late, Promise.resolve('it waits')])).toEqual(['TIMEOUT']);
    const all = await until(setup.time, Promise.all(reads));
    expect(all.flat().every((code) => code === 'TIMEOUT')).toBe(true);
    expect(setup.calls.length).toBeLessThanOrEqual(48);
  });

  it('an unreachable store does not delay another store', async () => {
    await using setup = world('dead', 'healthy');
    setup.set('dead', 'hang');
    const dead = Array.from({ length: 500 }, (_, index) => readOf(setup.stores, 'dead', `k${index}`));
    const start = setup.time.now();
    const healthy = Array.from({ length: 100 }, (_, index) => readOf(setup.stores, 'healthy', `k${index}`));
    await setup.time.advance(500);
    const all = await Promise.all(healthy);
    expect(all.flat().every((code) => code === 'found')).toBe(true);
    expect(setup.time.now() - start).toBe(500);
    await until(setup.time, Promise.all(dead));
    expect(setup.states.some((state) => state.startsWith('healthy'))).toBe(false);
  });
});

describe('a key with unanswered reads', () => {
  it('a key with unanswered reads opens no breaker and blocks no other keys', async () => {
    await using setup = world('a');
    setup.set('a/slow', 'hang');
    const readers = createSourceReaders({ open: (name) => setup.stores.open(name) });
    const open = () => readers.reader({ onRead: async () => undefined });
    const readAs = async (request: SourceReader, key: string) => {
      const [result] = (await request.since(0).read([{ store: 'a', ref: { key } }])).values();
      return result?.kind === 'failed' ? result.error.code : result?.kind;
    };
    // A hundred targets read this key, and each also reads a key of its own.
    const readAll = (request: SourceReader) => Array.from({ length: 100 }, () => readAs(request, 'slow'));
    await until(setup.time, Promise.all(readAll(open())));
    setup.calls.length = 0;
    const start = setup.time.now();
    const request = open();
    const again = readAll(request);
    await setup.time.advance(0);
    const others = Array.from({ length: 100 }, (_, index) => readAs(request, `k${index}`));
    await setup.time.advance(1_000);
    expect(new Set(await Promise.all(others))).toEqual(new Set(['found']));
    // A new request for the slow key does not wait for a running read of this key.
    expect(await readAs(open(), 'slow')).toBe('TIMEOUT');
    expect(setup.time.now() - start).toBe(1_000);
    expect(new Set(await until(setup.time, Promise.all(again)))).toEqual(new Set(['TIMEOUT']));
    expect(setup.calls.filter((call) => call === 'a/slow').length).toBeLessThanOrEqual(3);
    expect(setup.states.filter((state) => state.includes('down'))).toEqual([]);
  });

  it('a key with unanswered reads is read normally after its first answer', async () => {
    await using setup = world('a');
    setup.set('a/slow', 'hang');
    expect(await setup.read('a', 'slow')).toEqual(['TIMEOUT']);
    setup.set('a/slow', 'ok');
    expect(await setup.read('a', 'slow')).toEqual(['found']);
    setup.calls.length = 0;
    await until(setup.time, Promise.all([1, 2, 3].map(() => readOf(setup.stores, 'a', 'slow'))));
    expect(setup.calls).toHaveLength(3);
  });
});

describe('a refused login', () => {
  it('a refused login marks the store as down until a read succeeds, but does not open the breaker', async () => {
    await using setup = world('a');
    setup.set('a', 'AUTH_FAILED');
    expect(await setup.read('a', 'k')).toEqual(['AUTH_FAILED']);
    expect(setup.stores.state('a')).toMatchObject({
      state: 'down',
      breakerOpen: false,
      error: { code: 'AUTH_FAILED' },
    });
    const provider = await setup.stores.open('a');
    await provider.versions(['k']); // the failed version lookup does not change the state of the store
    expect(setup.states).toEqual(['a down AUTH_FAILED']);
    setup.set('a', 'ok');
    setup.stores.onRecovered((store) => setup.states.push(`${store} recovered`));
    await setup.read('a', 'k');
    expect(setup.states).toEqual(['a down AUTH_FAILED', 'a up', 'a recovered']);
  });

  it.each(['ACCESS_DENIED', 'SOURCE_DELETED', 'SOURCE_DISABLED', 'VERSION_GONE', 'MOUNT_NOT_FOUND'] as const)(
    'a store with a refused login is up again after an answer that requires a login (%s)',
    async (code) => {
      await using setup = world('a');
      setup.set('a', 'AUTH_FAILED');
      await setup.read('a', 'k');
      setup.set('a', code);
      expect(await setup.read('a', 'k')).toEqual([code]);
      expect(setup.states).toEqual(['a down AUTH_FAILED', 'a up']);
    },
  );

  it.each(['BAD_ANSWER', 'CONFIG_INVALID'] as const)(
    'a store with a refused login stays down after %s',
    async (code) => {
      await using setup = world('a');
      setup.set('a', 'AUTH_FAILED');
      await setup.read('a', 'k');
      setup.set('a', code);
      expect(await setup.read('a', 'k')).toEqual([code]);
      expect(setup.states).toEqual(['a down AUTH_FAILED']);
    },
  );

  it('a store is down if it cannot be opened for any reason', async () => {
    await using setup = world('a');
    setup.failCreation(new AppError('ACCESS_DENIED'));
    await expect(setup.stores.open('a')).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
    setup.failCreation(undefined);
    const provider = await setup.stores.open('a');
    setup.stores.reset('a');
    setup.failCreation(new AppError('ACCESS_DENIED'));
    await expect(provider.read([{ key: 'k' }])).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
    expect(setup.stores.state('a')).toMatchObject({ state: 'down', error: { code: 'ACCESS_DENIED' } });
  });

  it('the next call makes a second login attempt if the first attempt failed because a credential was missing', async () => {
    await using setup = world('a');
    setup.failCreation(new AppError('CREDENTIAL_MISSING'));
    await expect(setup.stores.open('a')).rejects.toMatchObject({ code: 'CREDENTIAL_MISSING' });
    expect(setup.stores.state('a')).toMatchObject({ state: 'down', breakerOpen: false });
    setup.failCreation(undefined);
    expect(await setup.read('a', 'k')).toEqual(['found']);
    expect(setup.states).toEqual(['a down CREDENTIAL_MISSING', 'a up']);
  });
});

describe('a throttling store', () => {
  it('a throttling store is degraded and paused for the requested time, without affecting other stores', async () => {
    await using setup = world('a', 'b');
    setup.set('a', new AppError('THROTTLED', { retryAfterMs: 60_000 }));
    expect(await setup.read('a', 'k')).toEqual(['THROTTLED']);
    setup.calls.length = 0;
    expect(await setup.read('a', 'k')).toEqual(['THROTTLED']);
    expect(await setup.read('b', 'k')).toEqual(['found']);
    expect(setup.calls).toEqual(['b/k']);
    expect(setup.states).toEqual(['a degraded THROTTLED']);
    setup.set('a', 'ok');
    await setup.time.advance(60_000);
    expect(await setup.read('a', 'k')).toEqual(['found']);
    expect(setup.states).toEqual(['a degraded THROTTLED', 'a up']);
  });
});

describe('stores', () => {
  it('each request to a store is reported with its result', async () => {
    await using setup = world('a');
    setup.set('a/bad', 'ACCESS_DENIED');
    await setup.read('a', 'k', 'bad');
    expect(setup.outcomes).toEqual(['a read ok', 'a read ACCESS_DENIED']);
    const answered: string[] = [];
    setup.stores.onAnswer((name) => answered.push(name));
    await setup.read('a', 'k', 'bad');
    expect(answered).toEqual(['a', 'a']);
  });

  it('each store opens one provider on first use, and closes the provider at the end', async () => {
    const setup = world('a', 'b');
    await Promise.all([setup.read('a', 'k'), setup.read('a', 'l')]);
    expect(setup.opened).toEqual(['a']);
    await setup[Symbol.asyncDispose]();
    expect(setup.closed).toEqual(['a']);
    expect(setup.time.pending).toBe(0);
  });

  it('the providers of all stores are closed in parallel', async () => {
    const setup = world('slow', 'quick');
    for (const name of ['slow', 'quick']) await setup.read(name, 'k');
    const farewell = Promise.withResolvers<void>();
    setup.farewells.set('slow', farewell.promise);
    const closing = setup[Symbol.asyncDispose]();
    await setup.time.advance(0);
    expect(setup.closed).toEqual(['quick']);
    farewell.resolve();
    await closing;
    expect(setup.closed).toEqual(['quick', 'slow']);
  });

  it('closing the stores cancels retries and queued work', async () => {
    const setup = world('a');
    setup.set('a', 'hang');
    const read = readOf(setup.stores, 'a', ...Array.from({ length: 100 }, (_, index) => `k${index}`));
    await setup.time.advance(0);
    const begun = setup.calls.length;
    await setup[Symbol.asyncDispose]();
    await setup.time.advance(10_000);
    const codes = Object.entries(Object.groupBy(await read, (code) => code));
    expect(codes.map(([code, all]) => [code, all?.length])).toEqual([
      ['TIMEOUT', begun],
      ['INTERRUPTED', 100 - begun],
    ]);
    expect([setup.calls.length, setup.time.pending]).toEqual([begun, 0]);
  });

  it('a closed store opens no provider', async () => {
    const setup = world('a', 'b');
    const provider = await setup.stores.open('a');
    await setup[Symbol.asyncDispose]();
    for (const name of ['a', 'b'])
      await expect(setup.stores.open(name)).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await expect(provider.read([{ key: 'k' }])).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect([setup.opened, setup.calls, setup.time.pending]).toEqual([['a'], [], 0]);
  });

  it('a reset store opens a new provider, and running calls finish with the old provider', async () => {
    await using setup = world('a');
    setup.set('a/slow', 'hang');
    const slow = readOf(setup.stores, 'a', 'slow');
    await setup.time.advance(0);
    setup.stores.reset('a');
    expect(await setup.read('a', 'k')).toEqual(['found']);
    expect([setup.opened, setup.closed]).toEqual([['a', 'a'], []]);
    await until(setup.time, slow);
    await setup.time.advance(0);
    expect(setup.closed).toEqual(['a']);
  });

  it('a reset store starts with a closed breaker and no failures', async () => {
    await using setup = world('a');
    setup.set('a', 'STORE_UNAVAILABLE');
    await setup.read('a', 'k');
    expect(setup.stores.state('a').breakerOpen).toBe(true);
    setup.set('a', 'ok');
    setup.stores.reset('a');
    expect(setup.stores.state('a')).toEqual({ state: 'up', breakerOpen: false });
    expect(await setup.read('a', 'k')).toEqual(['found']);
    expect(setup.states.at(-1)).toBe('a up');
    const probes = setup.probes.length;
    await setup.time.advance(600_000);
    expect(setup.probes).toHaveLength(probes);
  });

  it('a reset store keeps the time of its last success, but a different store with the same name does not inherit this time', async () => {
    await using setup = world('a');
    await setup.read('a', 'k');
    const { lastSuccess } = setup.stores.state('a');
    expect(lastSuccess).toBeTypeOf('number');
    setup.stores.reset('a');
    expect(setup.stores.state('a')).toMatchObject({ state: 'up', lastSuccess });
    setup.set('a', 'AUTH_FAILED');
    await setup.read('a', 'k');
    expect(setup.stores.state('a')).toMatchObject({ state: 'down', lastSuccess });
    setup.set('a', 'ok');
    await setup.time.advance(1_000);
    await setup.read('a', 'k');
    expect(setup.stores.state('a').lastSuccess).toBeGreaterThan(lastSuccess ?? 0);
    setup.stores.reconfigure([config('a', { path: '/elsewhere' })]);
    expect(setup.stores.state('a').lastSuccess).toBeUndefined();
  });

  it('a provider that was opened before a reset still works after the reset', async () => {
    await using setup = world('a');
    const provider = await setup.stores.open('a');
    setup.stores.reset('a');
    expect(await provider.read([{ key: 'k' }])).toEqual([FOUND]);
    expect(setup.opened).toEqual(['a', 'a']);
  });

  it('a new configuration keeps unchanged stores open, reopens changed stores, and closes removed stores', async () => {
    await using setup = world('same', 'moved', 'gone');
    for (const name of ['same', 'moved', 'gone']) await setup.read(name, 'k');
    const before = setup.stores.definitions;
    setup.stores.reconfigure([config('same'), config('moved', { path: '/elsewhere' }), config('new')]);
    await setup.time.advance(0);
    expect(setup.closed.sort()).toEqual(['gone', 'moved']);
    expect([...setup.stores.definitions.keys()]).toEqual(['same', 'moved', 'new']);
    expect(setup.stores.definitions.get('same')).toBe(before.get('same'));
    expect(setup.stores.definitions.get('moved')).not.toBe(before.get('moved'));
    setup.opened.length = 0;
    for (const name of ['same', 'moved', 'new']) expect(await setup.read(name, 'k')).toEqual(['found']);
    expect(setup.opened).toEqual(['moved', 'new']);
    await expect(setup.stores.open('gone')).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});
