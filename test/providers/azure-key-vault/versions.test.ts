import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../../src/core/errors.ts';
import type { Sighting } from '../../../src/core/reading.ts';
import { azureKeyVault } from '../../../src/providers/azure-key-vault/index.ts';
import type { VersionResult } from '../../../src/providers/provider.ts';
import { cheapestWay, type WayTaken } from '../../../src/providers/ways.ts';
import type { Objects } from '../../fakes/azure-server/objects.ts';
import { startAzureServer } from '../../fakes/azure-server/server.ts';
import { createManualTime } from '../../fakes/manual-time.ts';
import { CLIENT, CLIENT_SECRET, openAzure, openOn } from './harness.ts';

const UNKNOWN = { kind: 'unknown' };
const HOUR_MS = 3_600_000;

/** Secrets that were written at the beginning of a second, and read some time after. */
async function openRead(count: number, readAfterMs = HOUR_MS) {
  const keys = Array.from({ length: count }, (_, index) => `n${String(index).padStart(3, '0')}`);
  const time = createManualTime();
  const ways: WayTaken[] = [];
  const deps = { clock: time, onWay: (taken: WayTaken) => ways.push(taken) };
  const store = await openAzure({ server: { now: time.now }, deps });
  for (const key of keys) store.server.secrets.put(key, 'x');
  time.set(time.now() + readAfterMs);
  const results = await store.provider.read(keys.map((key) => ({ key })));
  store.sent();
  const read = results.map(
    (result): VersionResult =>
      result.kind === 'found' ? { kind: 'known', version: result.version } : { kind: 'unknown' },
  );
  return { store, time, keys, read, ways, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

describe('versions in Key Vault', () => {
  it('are those that were read, as long as the list shows no change: one request for 25', async () => {
    await using test = await openRead(60);
    expect(await test.store.provider.versions(test.keys)).toEqual(test.read);
    expect(test.store.sent()).toEqual(Array(3).fill('vault GET /secrets'));
  });

  it('are not known of what was never read, changed, disabled or deleted since', async () => {
    await using test = await openRead(60);
    const { secrets } = test.store.server;
    secrets.put('n001', 'y');
    secrets.update('n002', { enabled: false });
    secrets.remove('n003');
    secrets.put('other', 'x');
    const [first, ...rest] = await test.store.provider.versions([
      'n000',
      'n001',
      'n002',
      'n003',
      'other',
      'n004',
    ]);
    expect(first).toEqual(test.read[0]);
    expect(rest).toEqual([UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, test.read[4]]);
  });

  it('are not known of what was younger than two seconds when it was read', async () => {
    await using young = await openRead(60, 1_999);
    expect(await young.store.provider.versions(young.keys)).toEqual(young.keys.map(() => UNKNOWN));
    expect(young.store.sent()).toEqual([]);
    await using older = await openRead(60, 2_000);
    expect(await older.store.provider.versions(older.keys)).toEqual(older.read);
  });

  it('see a second change within the second of the first one', async () => {
    const time = createManualTime();
    await using store = await openAzure({ server: { now: time.now } });
    const keys = ['a', 'b', 'c'];
    for (const key of keys) store.server.secrets.put(key, '1');
    await store.provider.read(keys.map((key) => ({ key })));
    time.set(time.now() + 900);
    store.server.secrets.put('a', '2'); // the list shows the same second as at the reading
    expect(await store.provider.versions(keys)).toEqual([UNKNOWN, UNKNOWN, UNKNOWN]);
  });

  it('are not listed where reading costs less', async () => {
    await using test = await openRead(100);
    const few = test.keys.slice(90, 93);
    expect(await test.store.provider.versions(few)).toEqual([UNKNOWN, UNKNOWN, UNKNOWN]);
    expect(test.store.sent()).toHaveLength(2); // as far as it was worth it, which is remembered
    await test.store.provider.versions(few);
    expect(test.store.sent()).toEqual([]);
    expect(await test.store.provider.versions(test.keys)).toEqual(test.read);
    expect(await test.store.provider.versions(['n000'])).toEqual([UNKNOWN]);
  });

  it.each([1, 2, 25, 26, 60])(
    'of %i keys cost what is expected, where nothing else is there',
    async (count) => {
      await using test = await openRead(count);
      await test.store.provider.versions(test.keys);
      const { Config, can, versionsPerPage } = azureKeyVault;
      const config = Config.parse({
        kind: 'azure-key-vault',
        vaultUrl: 'https://contoso.vault.azure.net',
        auth: { method: 'default' },
      });
      const abilities = { readsPerCall: can.readsPerCall ?? 1, describesUpTo: can.describesUpTo ?? 0 };
      const namesPerCall = versionsPerPage?.(config);
      expect(test.ways).toEqual([cheapestWay(count, { ...abilities, namesPerCall })]);
    },
  );

  it('are a hint: no fault of the list is an error', async () => {
    await using test = await openRead(60);
    test.store.server.deny(/GET \/secrets$/);
    expect(await test.store.provider.versions(test.keys)).toEqual(test.keys.map(() => UNKNOWN));
  });

  it('are not listed again for an hour where that is not allowed', async () => {
    await using test = await openRead(60);
    const { provider, server, sent } = test.store;
    server.deny(/GET \/secrets$/);
    await provider.versions(test.keys);
    expect(sent()).toHaveLength(1);
    server.deny(undefined);
    await provider.versions(test.keys);
    expect(sent()).toEqual([]);
    test.time.set(test.time.now() + HOUR_MS);
    expect(await provider.versions(test.keys)).toEqual(test.read);
  });

  it('are listed again after a day where the list was too long: the vault may have become smaller', async () => {
    await using test = await openRead(100);
    const { provider, server, sent } = test.store;
    const few = test.keys.slice(90, 93);
    await provider.versions(few);
    for (const key of test.keys.slice(0, 90)) server.secrets.remove(key);
    sent();
    await provider.versions(few);
    expect(sent()).toEqual([]);
    test.time.set(test.time.now() + 24 * HOUR_MS);
    expect(await provider.versions(few)).toEqual(test.read.slice(90, 93));
    expect(sent()).toContain('vault GET /secrets'); // and a login, which has ended long ago
    expect(test.ways.map(({ way }) => way)).toEqual(['list', 'read', 'list']);
  });
});

/** What a process reads of one key, as the next one may be told of it. */
async function readings(
  { provider }: Pick<Awaited<ReturnType<typeof openAzure>>, 'provider'>,
  keys: readonly string[],
): Promise<Map<string, Sighting | undefined>> {
  const results = await provider.read(keys.map((key) => ({ key })));
  return new Map(
    results.map((result, index) => {
      const { stamp, version } = result.kind === 'found' ? result : {};
      const sighting = version === undefined || stamp === undefined ? undefined : { version, stamp };
      return [keys[index] ?? '', sighting];
    }),
  );
}

describe('versions in Key Vault that another process read', () => {
  const KEYS = ['a', 'b', 'c'];

  it('are told by the stamp of its readings, without a reading of our own', async () => {
    await using test = await openRead(60);
    const read = await readings(test.store, test.keys);
    await using later = await openOn(test.store.server, { deps: { clock: test.time } });
    test.store.sent();
    test.store.server.secrets.put('n001', 'y');
    const told = await later.provider.versions(test.keys, { recall: async (key) => read.get(key) });
    expect(told).toEqual(test.read.map((it, index) => (index === 1 ? UNKNOWN : it)));
    const lines = test.store.sent().filter((line) => line.startsWith('vault'));
    expect(new Set(lines)).toEqual(new Set(['vault GET /secrets']));
  });

  it('are asked for once, and not of what was read here', async () => {
    await using test = await openRead(3);
    const asked: string[] = [];
    const recall = async (key: string): Promise<undefined> => void asked.push(key);
    const { provider, server } = test.store;
    for (const key of KEYS) server.secrets.put(key, 'x');
    for (const _ of [1, 2]) await provider.versions([...test.keys, ...KEYS], { recall });
    expect(asked).toEqual(KEYS);
  });

  it('have no stamp when a version is named, and none that a second change could have', async () => {
    const time = createManualTime();
    await using store = await openAzure({ server: { now: time.now } });
    const version = store.server.secrets.put('a', '1');
    expect(await store.read('a')).not.toHaveProperty('stamp');
    time.set(time.now() + 2_000);
    expect(await store.read('a', { version })).not.toHaveProperty('stamp');
    expect(await store.read('a')).toHaveProperty('stamp');
  });

  it('are unknown where the record cannot be asked', async () => {
    await using test = await openRead(3);
    await using later = await openOn(test.store.server, { deps: { clock: test.time } });
    const recall = () => Promise.reject(new AppError('AUDIT_UNAVAILABLE'));
    expect(await later.provider.versions(test.keys, { recall })).toEqual(test.keys.map(() => UNKNOWN));
  });

  it('are never told wrongly, whatever became of the keys and of the processes', async () => {
    const key = fc.constantFrom(...KEYS);
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('put'), key }) },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constantFrom('tag', 'toggle', 'remove', 'purge'), key }),
      },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait'), ms: fc.constantFrom(300, 2_000) }) },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('read') }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart') }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 40 }), async (steps) => {
        const time = createManualTime();
        await using server = await startAzureServer({ now: time.now });
        server.login.applications.set(CLIENT, { secret: CLIENT_SECRET });
        const { secrets } = server;
        const record = new Map<string, Sighting | undefined>();
        let process = await openOn(server, { deps: { clock: time } });
        for (const it of steps) {
          if ('key' in it) change(secrets, it);
          else if ('ms' in it) time.set(time.now() + it.ms);
          else if (it.kind === 'read')
            for (const [name, sighting] of await readings(process, KEYS)) record.set(name, sighting);
          else {
            await process[Symbol.asyncDispose]();
            process = await openOn(server, { deps: { clock: time } });
          }
          const told = await process.provider.versions(KEYS, { recall: async (name) => record.get(name) });
          for (const [index, result] of told.entries())
            if (result.kind === 'known') expect(result.version).toBe(secrets.get(KEYS[index] ?? '')?.id);
        }
        await process[Symbol.asyncDispose]();
      }),
      { numRuns: 60 },
    );
  });
});

function change(
  secrets: Objects<string>,
  { kind, key }: { readonly kind: string; readonly key: string },
): void {
  const isLive = secrets.get(key) !== undefined;
  const isDeleted = secrets.getDeleted(key) !== undefined;
  if (kind === 'purge' && isDeleted) secrets.purge(key);
  else if (isDeleted) secrets.recover(key);
  else if (kind === 'put' || !isLive) secrets.put(key, 'x');
  else if (kind === 'tag') secrets.update(key, { tags: { a: 'b' } });
  else if (kind === 'toggle') secrets.update(key, { enabled: secrets.get(key)?.options.enabled === false });
  else if (kind === 'remove') secrets.remove(key);
}
