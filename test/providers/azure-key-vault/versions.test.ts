import { describe, expect, it } from 'vitest';
import { azureKeyVault } from '../../../src/providers/azure-key-vault/index.ts';
import type { VersionResult } from '../../../src/providers/provider.ts';
import { cheapestWay, type WayTaken } from '../../../src/providers/ways.ts';
import { createManualTime } from '../../fakes/manual-time.ts';
import { openAzure } from './harness.ts';

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
