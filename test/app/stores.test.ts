import { describe, expect, it } from 'vitest';
import { createStores, type Stores } from '../../src/app/stores.ts';
import { StoreConfig } from '../../src/config/schema.ts';
import type { ErrorCode } from '../../src/core/error-codes.ts';
import { AppError } from '../../src/core/errors.ts';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import type { ProviderDeps, ReadResult, SecretProvider } from '../../src/providers/provider.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { manualDeadline } from '../providers/manual-deadline.ts';

const FOUND: ReadResult = { kind: 'found', value: SecretValue.fromText('x'), version: '1' };
/** How a key of a double ends: with a value, an error, or not at all. */
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

/** Stores whose calls do what the test says, counted. */
function world(...names: readonly string[]) {
  const time = createManualTime();
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
      sleep: time.sleep,
      wake: time.wake,
      deadline: manualDeadline(time),
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
    /** Reads, moving on time until it has ended. */
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

async function until<T>(time: ReturnType<typeof createManualTime>, work: Promise<T>): Promise<T> {
  let ended = false;
  const done = work.finally(() => {
    ended = true;
  });
  for (let step = 0; !ended && step < 1_000; step += 1) await time.advance(100);
  return done;
}

describe('a store that is away', () => {
  it('is down after the attempts of one read, and up as soon as its probe is answered', async () => {
    await using it = world('a');
    it.set('a', 'STORE_UNAVAILABLE');
    expect(await it.read('a', 'k')).toEqual(['STORE_UNAVAILABLE']);
    expect(it.stores.state('a')).toMatchObject({
      state: 'down',
      breakerOpen: true,
      error: { code: 'STORE_UNAVAILABLE' },
    });
    await it.time.advance(60_000);
    it.set('a', 'ok');
    await it.time.advance(22_000);
    expect(it.states.filter((state) => !state.includes('degraded'))).toEqual([
      'a down STORE_UNAVAILABLE',
      'a up',
    ]);
    expect(await it.read('a', 'k')).toEqual(['found']);
    expect(it.stores.state('a')).toEqual({
      state: 'up',
      breakerOpen: false,
      lastSuccess: expect.closeTo(it.time.now(), -3),
    });
  });

  it.each(['hang', 'STORE_UNAVAILABLE', 'TLS_FAILED'] as const)(
    'costs a few calls a minute for as long as that lasts, whatever is asked of it (%s)',
    async (behaviour) => {
      await using it = world('a');
      it.set('a', behaviour);
      const before = it.time.now();
      let asked = 0;
      const running = new Set<Promise<unknown>>();
      for (let second = 0; second < 15 * 60; second += 1) {
        for (let n = 0; n < 3; n += 1) {
          const read = readOf(it.stores, 'a', `k${asked % 500}`).finally(() => running.delete(read));
          running.add(read);
          asked += 1;
        }
        await it.time.advance(1_000);
      }
      await until(it.time, Promise.all(running));
      expect(it.time.now() - before).toBeLessThan(16 * 60_000);
      expect(asked).toBe(2_700);
      // What went out before the breaker knew: no more than two rounds of the places there are.
      expect(it.calls.length).toBeLessThanOrEqual(16);
      expect(it.probes.length).toBeLessThanOrEqual(15 * 4);
    },
  );

  it('fails all that wait for their turn at once when it is found to be away', async () => {
    await using it = world('a');
    it.set('a', 'hang');
    let ended = 0;
    const reads = Array.from({ length: 100 }, (_, index) =>
      readOf(it.stores, 'a', `k${index}`).finally(() => {
        ended += 1;
      }),
    );
    await it.time.advance(10_000); // the first eight have no answer, nor, five seconds later, has the probe
    await it.time.advance(5_000);
    await it.time.advance(0);
    expect(it.stores.state('a').breakerOpen).toBe(true);
    expect(ended).toBeGreaterThanOrEqual(84);
    const late = readOf(it.stores, 'a', 'late');
    await it.time.advance(0);
    expect(await Promise.race([late, Promise.resolve('it waits')])).toEqual(['TIMEOUT']);
    const all = await until(it.time, Promise.all(reads));
    expect(all.flat().every((code) => code === 'TIMEOUT')).toBe(true);
    expect(it.calls.length).toBeLessThanOrEqual(24);
  });

  it('is not waited for by another store', async () => {
    await using it = world('dead', 'healthy');
    it.set('dead', 'hang');
    const dead = Array.from({ length: 500 }, (_, index) => readOf(it.stores, 'dead', `k${index}`));
    const start = it.time.now();
    const healthy = Array.from({ length: 100 }, (_, index) => readOf(it.stores, 'healthy', `k${index}`));
    await it.time.advance(500);
    const all = await Promise.all(healthy);
    expect(all.flat().every((code) => code === 'found')).toBe(true);
    expect(it.time.now() - start).toBe(500);
    await until(it.time, Promise.all(dead));
    expect(it.states.some((state) => state.startsWith('healthy'))).toBe(false);
  });
});

describe('a key that hangs', () => {
  it('neither opens the breaker nor takes the places of the others', async () => {
    await using it = world('a');
    it.set('a/slow', 'hang');
    // A hundred targets use it, each with another key beside it.
    const slow = Array.from({ length: 100 }, () => readOf(it.stores, 'a', 'slow'));
    await until(it.time, Promise.all(slow));
    it.calls.length = 0;
    const again = Array.from({ length: 100 }, () => readOf(it.stores, 'a', 'slow'));
    const start = it.time.now();
    const others = Array.from({ length: 100 }, (_, index) => readOf(it.stores, 'a', `k${index}`));
    await it.time.advance(1_000);
    expect((await Promise.all(others)).flat().every((code) => code === 'found')).toBe(true);
    expect(it.time.now() - start).toBe(1_000);
    expect((await until(it.time, Promise.all(again))).flat().every((code) => code === 'TIMEOUT')).toBe(true);
    expect(it.calls.filter((call) => call === 'a/slow').length).toBeLessThanOrEqual(3);
    expect(it.states.filter((state) => state.includes('down'))).toEqual([]);
  });

  it('is read as before once it had an answer', async () => {
    await using it = world('a');
    it.set('a/slow', 'hang');
    expect(await it.read('a', 'slow')).toEqual(['TIMEOUT']);
    it.set('a/slow', 'ok');
    expect(await it.read('a', 'slow')).toEqual(['found']);
    it.calls.length = 0;
    await until(it.time, Promise.all([1, 2, 3].map(() => readOf(it.stores, 'a', 'slow'))));
    expect(it.calls).toHaveLength(3);
  });
});

describe('a login that is refused', () => {
  it('makes the store down without opening the breaker, and up again by the first read that works', async () => {
    await using it = world('a');
    it.set('a', 'AUTH_FAILED');
    expect(await it.read('a', 'k')).toEqual(['AUTH_FAILED']);
    expect(it.stores.state('a')).toMatchObject({
      state: 'down',
      breakerOpen: false,
      error: { code: 'AUTH_FAILED' },
    });
    const provider = await it.stores.open('a');
    await provider.versions(['k']); // a hint that failed proves nothing
    expect(it.states).toEqual(['a down AUTH_FAILED']);
    it.set('a', 'ok');
    await it.read('a', 'k');
    expect(it.states).toEqual(['a down AUTH_FAILED', 'a up']);
  });

  it.each(['ACCESS_DENIED', 'SOURCE_DELETED', 'SOURCE_DISABLED', 'VERSION_GONE', 'MOUNT_NOT_FOUND'] as const)(
    'makes it up again by what is said only to whom the store knows (%s)',
    async (code) => {
      await using it = world('a');
      it.set('a', 'AUTH_FAILED');
      await it.read('a', 'k');
      it.set('a', code);
      expect(await it.read('a', 'k')).toEqual([code]);
      expect(it.states).toEqual(['a down AUTH_FAILED', 'a up']);
    },
  );

  it.each(['BAD_ANSWER', 'CONFIG_INVALID'] as const)('stays what it was after %s', async (code) => {
    await using it = world('a');
    it.set('a', 'AUTH_FAILED');
    await it.read('a', 'k');
    it.set('a', code);
    expect(await it.read('a', 'k')).toEqual([code]);
    expect(it.states).toEqual(['a down AUTH_FAILED']);
  });

  it('that cannot be set up is down for whatever reason', async () => {
    await using it = world('a');
    it.failCreation(new AppError('ACCESS_DENIED'));
    await expect(it.stores.open('a')).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
    it.failCreation(undefined);
    const provider = await it.stores.open('a');
    it.stores.reset('a');
    it.failCreation(new AppError('ACCESS_DENIED'));
    await expect(provider.read([{ key: 'k' }])).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
    expect(it.stores.state('a')).toMatchObject({ state: 'down', error: { code: 'ACCESS_DENIED' } });
  });

  it('for want of its credential is tried again by the next call', async () => {
    await using it = world('a');
    it.failCreation(new AppError('CREDENTIAL_MISSING'));
    await expect(it.stores.open('a')).rejects.toMatchObject({ code: 'CREDENTIAL_MISSING' });
    expect(it.stores.state('a')).toMatchObject({ state: 'down', breakerOpen: false });
    it.failCreation(undefined);
    expect(await it.read('a', 'k')).toEqual(['found']);
    expect(it.states).toEqual(['a down CREDENTIAL_MISSING', 'a up']);
  });
});

describe('a store that throttles', () => {
  it('is degraded, left alone for as long as it asks, and nobody else is', async () => {
    await using it = world('a', 'b');
    it.set('a', new AppError('THROTTLED', { retryAfterMs: 60_000 }));
    expect(await it.read('a', 'k')).toEqual(['THROTTLED']);
    it.calls.length = 0;
    expect(await it.read('a', 'k')).toEqual(['THROTTLED']);
    expect(await it.read('b', 'k')).toEqual(['found']);
    expect(it.calls).toEqual(['b/k']);
    expect(it.states).toEqual(['a degraded THROTTLED']);
    it.set('a', 'ok');
    await it.time.advance(60_000);
    expect(await it.read('a', 'k')).toEqual(['found']);
    expect(it.states).toEqual(['a degraded THROTTLED', 'a up']);
  });
});

describe('stores', () => {
  it('tell of each request that was made', async () => {
    await using it = world('a');
    it.set('a/bad', 'ACCESS_DENIED');
    await it.read('a', 'k', 'bad');
    expect(it.outcomes).toEqual(['a read ok', 'a read ACCESS_DENIED']);
    const answered: string[] = [];
    it.stores.onAnswer((name) => answered.push(name));
    await it.read('a', 'k', 'bad');
    expect(answered).toEqual(['a', 'a']);
  });

  it('open one provider each, when it is first needed, and close it at the end', async () => {
    const it = world('a', 'b');
    await Promise.all([it.read('a', 'k'), it.read('a', 'l')]);
    expect(it.opened).toEqual(['a']);
    await it[Symbol.asyncDispose]();
    expect(it.closed).toEqual(['a']);
    expect(it.time.waiting).toEqual([]);
  });

  it('are closed together, so that several that take their time for it take it once', async () => {
    const it = world('slow', 'quick');
    for (const name of ['slow', 'quick']) await it.read(name, 'k');
    const farewell = Promise.withResolvers<void>();
    it.farewells.set('slow', farewell.promise);
    const closing = it[Symbol.asyncDispose]();
    await it.time.advance(0);
    expect(it.closed).toEqual(['quick']);
    farewell.resolve();
    await closing;
    expect(it.closed).toEqual(['quick', 'slow']);
  });

  it('leave behind at the end what still runs: nothing begins its turn, and nothing is tried again', async () => {
    const it = world('a');
    it.set('a', 'hang');
    const read = readOf(it.stores, 'a', ...Array.from({ length: 100 }, (_, index) => `k${index}`));
    await it.time.advance(0);
    const begun = it.calls.length;
    await it[Symbol.asyncDispose]();
    await it.time.advance(10_000);
    const codes = Object.entries(Object.groupBy(await read, (code) => code));
    expect(codes.map(([code, all]) => [code, all?.length])).toEqual([
      ['TIMEOUT', begun],
      ['INTERRUPTED', 100 - begun],
    ]);
    expect([it.calls.length, it.time.waiting]).toEqual([begun, []]);
  });

  it('open nothing after their end, for whoever was left behind', async () => {
    const it = world('a', 'b');
    const provider = await it.stores.open('a');
    await it[Symbol.asyncDispose]();
    for (const name of ['a', 'b'])
      await expect(it.stores.open(name)).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await expect(provider.read([{ key: 'k' }])).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect([it.opened, it.calls, it.time.waiting]).toEqual([['a'], [], []]);
  });

  it('are opened anew after a reset, while a call under way ends with the old provider', async () => {
    await using it = world('a');
    it.set('a/slow', 'hang');
    const slow = readOf(it.stores, 'a', 'slow');
    await it.time.advance(0);
    it.stores.reset('a');
    expect(await it.read('a', 'k')).toEqual(['found']);
    expect([it.opened, it.closed]).toEqual([['a', 'a'], []]);
    await until(it.time, slow);
    await it.time.advance(0);
    expect(it.closed).toEqual(['a']);
  });

  it('begin afresh after a reset: neither breaker nor refusal is left', async () => {
    await using it = world('a');
    it.set('a', 'STORE_UNAVAILABLE');
    await it.read('a', 'k');
    expect(it.stores.state('a').breakerOpen).toBe(true);
    it.set('a', 'ok');
    it.stores.reset('a');
    expect(it.stores.state('a')).toEqual({ state: 'up', breakerOpen: false });
    expect(await it.read('a', 'k')).toEqual(['found']);
    expect(it.states.at(-1)).toBe('a up');
    const probes = it.probes.length;
    await it.time.advance(600_000);
    expect(it.probes).toHaveLength(probes);
  });

  it('were read when they were read, after a reset too; another store under the name was not', async () => {
    await using it = world('a');
    await it.read('a', 'k');
    const { lastSuccess } = it.stores.state('a');
    expect(lastSuccess).toBeTypeOf('number');
    it.stores.reset('a');
    expect(it.stores.state('a')).toMatchObject({ state: 'up', lastSuccess });
    it.set('a', 'AUTH_FAILED');
    await it.read('a', 'k');
    expect(it.stores.state('a')).toMatchObject({ state: 'down', lastSuccess });
    it.set('a', 'ok');
    await it.time.advance(1_000);
    await it.read('a', 'k');
    expect(it.stores.state('a').lastSuccess).toBeGreaterThan(lastSuccess ?? 0);
    it.stores.reconfigure([config('a', { path: '/elsewhere' })]);
    expect(it.stores.state('a').lastSuccess).toBeUndefined();
  });

  it('serve whoever holds a provider of before', async () => {
    await using it = world('a');
    const provider = await it.stores.open('a');
    it.stores.reset('a');
    expect(await provider.read([{ key: 'k' }])).toEqual([FOUND]);
    expect(it.opened).toEqual(['a', 'a']);
  });

  it('that stay the same go on through a new configuration; others are closed, opened anew and known', async () => {
    await using it = world('same', 'moved', 'gone');
    for (const name of ['same', 'moved', 'gone']) await it.read(name, 'k');
    const before = it.stores.definitions;
    it.stores.reconfigure([config('same'), config('moved', { path: '/elsewhere' }), config('new')]);
    await it.time.advance(0);
    expect(it.closed.sort()).toEqual(['gone', 'moved']);
    expect([...it.stores.definitions.keys()]).toEqual(['same', 'moved', 'new']);
    expect(it.stores.definitions.get('same')).toBe(before.get('same'));
    expect(it.stores.definitions.get('moved')).not.toBe(before.get('moved'));
    it.opened.length = 0;
    for (const name of ['same', 'moved', 'new']) expect(await it.read(name, 'k')).toEqual(['found']);
    expect(it.opened).toEqual(['moved', 'new']);
    await expect(it.stores.open('gone')).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});
