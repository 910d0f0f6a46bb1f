import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AuditStore } from '../../../src/audit/store.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { AppError } from '../../../src/core/errors.ts';
import { createFingerprinter } from '../../../src/core/fingerprint.ts';
import type { ReadResult, SourceRef, StampedVersion } from '../../../src/core/read-result.ts';
import { SecretValue } from '../../../src/core/secret-value.ts';
import { azureKeyVault } from '../../../src/providers/azure-key-vault/index.ts';
import { createSeenVersions } from '../../../src/providers/azure-key-vault/versions.ts';
import type { VersionResult } from '../../../src/providers/provider.ts';
import { type ChosenStrategy, cheapestStrategy } from '../../../src/providers/read-strategy.ts';
import { AuditRecorder } from '../../../src/reconcile/audit-recorder.ts';
import { lastReadVersion } from '../../../src/reconcile/last-read-version.ts';
import type { Recorder } from '../../../src/reconcile/recorder.ts';
import type { Objects } from '../../fakes/azure-server/objects.ts';
import { startAzureServer } from '../../fakes/azure-server/server.ts';
import { createManualTime } from '../../fakes/manual-time.ts';
import { createMemoryAudit } from '../../fakes/memory-audit.ts';
import { CLIENT, CLIENT_SECRET, openAzure, openOn } from './harness.ts';

const UNKNOWN = { kind: 'unknown' };
const HOUR_MS = 3_600_000;

/**
 * Opens a vault whose secrets were written at the start of a second. The process read the secrets `readAfterMs` after
 * this time.
 */
async function openRead(count: number, readAfterMs = HOUR_MS) {
  const keys = Array.from({ length: count }, (_, index) => `n${String(index).padStart(3, '0')}`);
  const time = createManualTime();
  const strategies: ChosenStrategy[] = [];
  const deps = { clock: time, onStrategy: (strategy: ChosenStrategy) => strategies.push(strategy) };
  const store = await openAzure({ server: { now: time.now }, deps });
  for (const key of keys) store.server.secrets.put(key, 'x');
  time.set(time.now() + readAfterMs);
  const results = await store.provider.read(keys.map((key) => ({ key })));
  store.sent();
  const read = results.map((result): VersionResult => {
    if (result.kind !== 'found') return { kind: 'unknown' };
    const { version, createdAt, expiresAt } = result;
    return {
      ...{ kind: 'known', version },
      ...(createdAt === undefined ? {} : { createdAt }),
      ...(expiresAt === undefined ? {} : { expiresAt }),
    };
  });
  return {
    store,
    time,
    keys,
    read,
    ways: strategies,
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

describe('version checks in Key Vault', () => {
  it('a read and a list say when a secret expires, without further requests', async () => {
    const time = createManualTime();
    await using store = await openAzure({ server: { now: time.now }, deps: { clock: time } });
    const expires = time.now() + 86_400_000;
    const keys = ['a', 'b', 'c'];
    for (const key of keys) store.server.secrets.put(key, 'x', key === 'a' ? { expires } : {});
    time.set(time.now() + 60_000);
    const read = await store.provider.read(keys.map((key) => ({ key })));
    const whole = Math.floor(expires / 1_000) * 1_000;
    const expected = [whole, null, null].map((expiresAt) => ({ expiresAt }));
    expect(read).toMatchObject(expected);
    store.sent();
    expect(await store.provider.versions(keys)).toMatchObject(expected);
    expect(store.sent()).toEqual(['vault GET /secrets']);
  });

  it('returns the versions of the last reads if the list shows no change, with one request per 25 secrets', async () => {
    await using test = await openRead(60);
    expect(await test.store.provider.versions(test.keys)).toEqual(test.read);
    expect(test.store.sent()).toEqual(Array(3).fill('vault GET /secrets'));
  });

  it('reports versions as unknown for keys that were never read, and for keys that were changed, disabled or deleted after the read', async () => {
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

  it('reports the version as unknown if the secret was less than two seconds old when it was read', async () => {
    await using young = await openRead(60, 1_999);
    expect(await young.store.provider.versions(young.keys)).toEqual(young.keys.map(() => UNKNOWN));
    expect(young.store.sent()).toEqual([]);
    await using older = await openRead(60, 2_000);
    expect(await older.store.provider.versions(older.keys)).toEqual(older.read);
  });

  it('notices a change even if it happens in the same second as the previous change', async () => {
    const time = createManualTime();
    await using store = await openAzure({ server: { now: time.now } });
    const keys = ['a', 'b', 'c'];
    for (const key of keys) store.server.secrets.put(key, '1');
    await store.provider.read(keys.map((key) => ({ key })));
    time.set(time.now() + 900);
    store.server.secrets.put('a', '2'); // This second change has the same time in the list as the first one.
    expect(await store.provider.versions(keys)).toEqual([UNKNOWN, UNKNOWN, UNKNOWN]);
  });

  it('does not list secrets if reading the secrets needs fewer requests', async () => {
    await using test = await openRead(100);
    const few = test.keys.slice(90, 93);
    expect(await test.store.provider.versions(few)).toEqual([UNKNOWN, UNKNOWN, UNKNOWN]);
    expect(test.store.sent()).toHaveLength(2); // The list stopped after two pages, because more pages would cost more than reading three keys. The store remembers that a list is too expensive for these keys.
    await test.store.provider.versions(few);
    expect(test.store.sent()).toEqual([]);
    expect(await test.store.provider.versions(test.keys)).toEqual(test.read);
    expect(await test.store.provider.versions(['n000'])).toEqual([UNKNOWN]);
  });

  it.each([1, 2, 25, 26, 60])(
    'needs as many requests as predicted for %i keys if the vault contains only the checked secrets',
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
      expect(test.ways).toEqual([cheapestStrategy(count, { ...abilities, namesPerCall })]);
    },
  );

  it('reports versions as unknown and does not fail if the list fails, because callers can then read the keys', async () => {
    await using test = await openRead(60);
    test.store.server.deny(/GET \/secrets$/);
    expect(await test.store.provider.versions(test.keys)).toEqual(test.keys.map(() => UNKNOWN));
  });

  it('does not list secrets for an hour after a list was denied', async () => {
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

  it('lists secrets again a day after a list was too long, because the vault may be smaller by then', async () => {
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
    expect(sent()).toContain('vault GET /secrets'); // The list is not the only request: the token has expired, so there is a login too.
    expect(test.ways.map(({ way }) => way)).toEqual(['list', 'read', 'list']);
  });
});

function stampedOf(result: ReadResult): StampedVersion | undefined {
  if (result.kind !== 'found' || result.stamp === undefined) return undefined;
  return { version: result.version, stamp: result.stamp };
}

describe('version checks in Key Vault after a read by another process', () => {
  const KEYS = ['a', 'b', 'c'];

  it('returns the versions that another process has recorded, without reading the keys', async () => {
    await using test = await openRead(60);
    const results = await test.store.provider.read(test.keys.map((key) => ({ key })));
    const read = new Map(results.map((result, index) => [test.keys[index], stampedOf(result)]));
    await using later = await openOn(test.store.server, { deps: { clock: test.time } });
    test.store.sent();
    test.store.server.secrets.put('n001', 'y');
    const reported = await later.provider.versions(test.keys, {
      lastReadVersion: async (key) => read.get(key),
    });
    expect(reported).toEqual(test.read.map((step, index) => (index === 1 ? UNKNOWN : step)));
    const lines = test.store.sent().filter((line) => line.startsWith('vault'));
    expect(new Set(lines)).toEqual(new Set(['vault GET /secrets']));
  });

  it('asks for each recorded version once, and never for a key that this process has read', async () => {
    await using test = await openRead(3);
    const requests: string[] = [];
    const lastRead = async (key: string): Promise<undefined> => void requests.push(key);
    const { provider, server } = test.store;
    for (const key of KEYS) server.secrets.put(key, 'x');
    for (const _ of [1, 2]) await provider.versions([...test.keys, ...KEYS], { lastReadVersion: lastRead });
    expect(requests).toEqual(KEYS);
  });

  it('records no time of change if a named version was read, or if a second change could have the same time', async () => {
    const time = createManualTime();
    await using store = await openAzure({ server: { now: time.now } });
    const version = store.server.secrets.put('a', '1');
    expect(await store.read('a')).not.toHaveProperty('stamp');
    time.set(time.now() + 2_000);
    expect(await store.read('a', { version })).not.toHaveProperty('stamp');
    expect(await store.read('a')).toHaveProperty('stamp');
  });

  it('reports versions as unknown if the audit log fails, and asks the audit log for only 25 keys in each check', async () => {
    await using test = await openRead(100);
    await using later = await openOn(test.store.server, { deps: { clock: test.time } });
    let requests = 0;
    const lastRead = () => {
      requests += 1;
      return Promise.reject(new AppError('AUDIT_UNAVAILABLE'));
    };
    for (const times of [1, 2]) {
      expect(await later.provider.versions(test.keys, { lastReadVersion: lastRead })).toEqual(
        test.keys.map(() => UNKNOWN),
      );
      expect(requests).toBe(times * 25);
    }
  });

  it('asks for no recorded versions for an hour after a list was denied', async () => {
    await using test = await openRead(60);
    await using later = await openOn(test.store.server, { deps: { clock: test.time } });
    test.store.server.deny(/GET \/secrets$/);
    let requests = 0;
    const lastRead = async () => {
      requests += 1;
      return { version: 'v', stamp: 's' };
    };
    for (const _ of [1, 2]) await later.provider.versions(test.keys, { lastReadVersion: lastRead });
    expect(requests).toBe(60);
    test.time.set(test.time.now() + HOUR_MS - 1);
    await using third = await openOn(test.store.server, { deps: { clock: test.time } });
    await third.provider.versions(['n000'], { lastReadVersion: lastRead });
    expect(requests).toBe(60);
  });

  it('records no time of change if the response has no date, and prefers a newer read to a recorded version', async () => {
    const seen = createSeenVersions();
    expect(seen.record('a', { version: 'v1', updatedOn: new Date(0), date: undefined })).toBeUndefined();
    const recalled = Promise.withResolvers<StampedVersion>();
    const recalling = seen.restore(['b'], () => recalled.promise, undefined);
    const date = new Date(HOUR_MS).toUTCString();
    expect(seen.record('a', { version: 'v1', updatedOn: new Date(Number.NaN), date })).toBeUndefined();
    const stamp = seen.record('B', { version: 'v2', updatedOn: new Date(0), date });
    recalled.resolve({ version: 'v1', stamp: 'older' });
    await recalling;
    expect(seen.get('b')).toEqual({ version: 'v2', stamp });
  });

  it('asks for no more recorded versions after its signal was aborted', async () => {
    const over = new AbortController();
    let requests = 0;
    const lastRead = async () => {
      requests += 1;
      over.abort();
      return undefined;
    };
    const keys = Array.from({ length: 60 }, (_, index) => `n${index}`);
    await expect(createSeenVersions().restore(keys, lastRead, over.signal)).rejects.toThrow('abort');
    expect(requests).toBe(25);
  });

  it('never returns a wrong version, whatever changes and whichever process reads', async () => {
    const key = fc.constantFrom(...KEYS);
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('put'), key }) },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constantFrom('tag', 'toggle', 'remove', 'purge', 'pinned'), key }),
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
        const audit = createMemoryAudit({ clock: time });
        const lastRead = (name: string) => lastReadVersion(audit, { store: 'azure', key: name }, 'd1');
        const read = async (refs: readonly SourceRef[]) => {
          const recorder = recorderOn(audit, time);
          for (const [index, result] of (await process.provider.read(refs)).entries()) {
            const recording = await recorder.read({ store: 'azure', ref: refs[index] ?? NONE }, result);
            await recording?.durable;
          }
        };
        let process = await openOn(server, { deps: { clock: time } });
        for (const action of steps) {
          if (action.kind === 'pinned') {
            const version = secrets.get(action.key)?.id;
            if (version !== undefined) await read([{ key: action.key, version }]);
          } else if ('key' in action) change(secrets, action);
          else if ('ms' in action) time.set(time.now() + action.ms);
          else if (action.kind === 'read') await read(KEYS.map((name) => ({ key: name })));
          else {
            await process[Symbol.asyncDispose]();
            process = await openOn(server, { deps: { clock: time } });
          }
          const reported = await process.provider.versions(KEYS, { lastReadVersion: lastRead });
          for (const [index, result] of reported.entries())
            if (result.kind === 'known') expect(result.version).toBe(secrets.get(KEYS[index] ?? '')?.id);
        }
        await process[Symbol.asyncDispose]();
      }),
      { numRuns: 60 },
    );
  });
});

const NONE: SourceRef = { key: '' };

function recorderOn(audit: AuditStore, clock: Clock): Recorder {
  return new AuditRecorder({
    audit,
    actor: { kind: 'cli' },
    requestId: 'r',
    fingerprints: createFingerprinter(SecretValue.fromBytes(new Uint8Array(32).fill(7))),
    stores: new Map([['azure', 'd1']]),
    instances: ['test'],
    clock,
  });
}

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
