import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { AuditRecord, Entry } from '../../src/audit/entry.ts';
import type { AuditStore, RecordFilter } from '../../src/audit/store.ts';
import { verify } from '../../src/audit/verify.ts';
import { bare, entry, fingerprint } from '../audit/sample.ts';

/** One empty log, and processes that use it. The clock of all of them moves one second at each look. */
export interface AuditHarness extends AsyncDisposable {
  /** Disposing of the store is the end of its process. */
  open(replica: string): Promise<AuditStore>;
}

export const HARNESS_INSTANCE = 'prod-eu';
export const HARNESS_START = Date.parse('2026-11-25T12:00:00.000Z');

/** One second later at each look. */
export function tickingClock(): { now(): number } {
  let time = HARNESS_START - 1000;
  return {
    now: () => {
      time += 1000;
      return time;
    },
  };
}

/** Always the same text, of which no two parts are alike. */
function incompressible(length: number): string {
  const hash = (n: number): string => createHash('sha512').update(String(n)).digest('base64');
  return Array.from({ length: Math.ceil(length / 88) }, (_, n) => hash(n))
    .join('')
    .slice(0, length);
}

const UNAVAILABLE = { code: 'AUDIT_UNAVAILABLE' };

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  return await Array.fromAsync(items);
}

function sequences(records: readonly AuditRecord[]): number[] {
  return records.map(({ sequence }) => sequence);
}

export function describeAuditStore(name: string, openHarness: () => Promise<AuditHarness>): void {
  describe(`${name}: appending`, () => {
    it('chains what it records', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      const [first] = await store.append([entry()]);
      const [second] = await store.append([entry({ action: 'create' })]);
      expect(first).toMatchObject({
        ...entry(),
        sequence: 1,
        time: '2026-11-25T12:00:00.000Z',
        instance: HARNESS_INSTANCE,
        replica: 'a',
        previousHash: '0'.repeat(64),
      });
      expect(second).toMatchObject({ sequence: 2, previousHash: first?.hash, action: 'create' });
      expect(await store.head()).toEqual({ sequence: 2, hash: second?.hash });
      expect(await verify(store.stored(1))).toMatchObject({ kind: 'intact', records: 2 });
    });

    it('gives each of many callers its own records, in one chain', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      const batches = Array.from({ length: 20 }, (_, n) =>
        Array.from({ length: n % 4 }, () => bare({ attempt: n + 1 })),
      );
      const results = await Promise.all(batches.map((batch) => store.append(batch)));
      for (const [n, records] of results.entries()) {
        expect(records.map(({ attempt }) => attempt)).toEqual(batches[n]?.map(() => n + 1));
      }
      expect(sequences(results.flat())).toEqual(Array.from({ length: 30 }, (_, n) => n + 1));
      expect(await verify(store.stored(1))).toMatchObject({ kind: 'intact', records: 30 });
    });

    it('keeps one chain when several processes write', async () => {
      await using harness = await openHarness();
      await using a = await harness.open('a');
      await using b = await harness.open('b');
      await Promise.all([a, b, a, b, a].map((store) => store.append([entry(), entry()])));
      expect(await verify(b.stored(1), { until: await a.head() })).toMatchObject({
        kind: 'intact',
        records: 10,
      });
    });

    it('drops what an entry must not have', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      const slipped = { ...entry(), password: 'hunter2', actor: { kind: 'cli', token: 'hunter2' } } as const;
      await store.append([
        { ...slipped, sources: [{ store: 's', key: 'k', version: '1', ...{ value: 'hunter2' } }] },
      ]);
      expect(JSON.stringify(await collect(store.stored(1)))).not.toContain('hunter2');
    });

    it.each<[string, Partial<Entry>]>([
      ['a value for a fingerprint', { after: 'hunter2' }],
      ['a sentence for a code', { code: 'permission denied' }],
      ['a count that is no number', { counts: { read: Number.NaN } }],
      ['an action that is none', { action: 'peek' as 'read' }],
    ])('refuses %s without harm to others', async (_, part) => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      const bad = store.append([entry(part)]);
      const good = store.append([entry()]);
      await expect(bad).rejects.toMatchObject({ code: 'INTERNAL' });
      expect(sequences(await good)).toEqual([1]);
    });

    it('fails once it is closed', async () => {
      await using harness = await openHarness();
      const store = await harness.open('a');
      await store[Symbol.asyncDispose]();
      await expect(store.append([entry()])).rejects.toMatchObject(UNAVAILABLE);
      await expect(store.list({}, { limit: 1 })).rejects.toMatchObject(UNAVAILABLE);
    });
  });

  describe(`${name}: reading`, () => {
    it('pages newest first without gaps or doubles', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      await store.append(Array.from({ length: 7 }, () => bare()));
      const first = await store.list({}, { limit: 3 });
      const second = await store.list({}, { limit: 3, before: 5 });
      await store.append([bare()]);
      const third = await store.list({}, { limit: 3, before: 2 });
      expect([first, second, third].map(sequences)).toEqual([[7, 6, 5], [4, 3, 2], [1]]);
    });

    it('finds a record by its number, or nothing', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      const [record] = await store.append([entry()]);
      expect(await store.get(1)).toEqual(record);
      expect(await store.get(2)).toBeUndefined();
    });

    it('scans oldest first from any number, across pages', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      await store.append(Array.from({ length: 1203 }, () => bare()));
      expect(sequences(await collect(store.scan(1)))).toEqual(Array.from({ length: 1203 }, (_, n) => n + 1));
      expect(sequences(await collect(store.scan(1200)))).toEqual([1200, 1201, 1202, 1203]);
      expect(await collect(store.scan(1204))).toEqual([]);
    });

    const recorded: readonly Entry[] = [
      entry(),
      entry({
        namespace: 'shop',
        secret: 'shop-db',
        mapping: 'shop',
        requestId: 'request-2',
        before: fingerprint(2),
        after: fingerprint(3),
      }),
      entry({ action: 'refuse', outcome: 'refused', code: 'NOT_OWNED', actor: { kind: 'schedule' } }),
      bare({
        action: 'read',
        store: 'team-vault',
        key: 'payments/db',
        sources: [{ store: 'team-vault', key: 'payments/db', version: '8' }],
        after: fingerprint(9),
      }),
      bare({
        action: 'read',
        outcome: 'failed',
        code: 'SOURCE_ABSENT',
        store: 'aws-prod',
        key: 'payments/db',
      }),
      bare({ store: 'aws-prod', counts: { read: 3 } }),
      entry({
        sources: [
          { store: 'aws-prod', key: 'x', version: '1' },
          { store: 'team-vault', key: 'payments/api', version: '1' },
        ],
      }),
    ];

    const questions: readonly (readonly [RecordFilter, number[]])[] = [
      [{}, [7, 6, 5, 4, 3, 2, 1]],
      [{ since: '2026-11-25T12:00:05Z' }, [7, 6]],
      [{ since: '2026-11-25T13:00:05+01:00' }, [7, 6]],
      [{ until: '2026-11-25T12:00:01Z' }, [2, 1]],
      [{ since: '2026-11-25T12:00:01Z', until: '2026-11-25T12:00:02Z' }, [3, 2]],
      [{ actor: 'ann' }, [7, 2, 1]],
      [{ actor: 'schedule' }, [6, 5, 4, 3]],
      [{ mapping: 'shop' }, [2]],
      [{ namespace: 'payments' }, [7, 3, 1]],
      [{ namespace: 'payments', secret: 'shop-db' }, []],
      [{ secret: 'shop-db' }, [2]],
      [{ action: 'read' }, [5, 4]],
      [{ outcome: 'failed' }, [5]],
      [{ code: 'NOT_OWNED' }, [3]],
      [{ request: 'request-2' }, [2]],
      [{ fingerprint: fingerprint(2) }, [7, 3, 2, 1]],
      [{ fingerprint: fingerprint(3) }, [2]],
      [{ store: 'aws-prod' }, [7, 6, 5]],
      [{ key: 'payments/db' }, [5, 4, 3, 2, 1]],
      [{ store: 'team-vault', key: 'payments/db' }, [4, 3, 2, 1]],
      [{ store: 'team-vault', key: 'x' }, []],
      [{ store: 'team-vault', key: 'payments/db', version: '8' }, [4]],
      [{ store: 'team-vault', key: 'payments/db', version: '8', fingerprint: fingerprint(9) }, [4]],
      [{ store: 'team-vault', key: 'payments/api', action: 'update', outcome: 'ok', actor: 'ann' }, [7]],
      [{ mapping: "x' or 1=1 --" }, []],
      [{ namespace: '' }, []],
    ];

    it('finds by filters that combine', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      for (const one of recorded) await store.append([one]);
      for (const [filter, expected] of questions) {
        expect([filter, sequences(await store.list(filter, { limit: 100 }))]).toEqual([filter, expected]);
        const page = await store.list(filter, { limit: 1, before: 7 });
        expect([filter, sequences(page)]).toEqual([filter, expected.filter((n) => n < 7).slice(0, 1)]);
      }
    });

    it('tells the last record among some actions', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      await store.append([
        entry({ action: 'create' }),
        entry(),
        entry({ action: 'refuse', outcome: 'refused' }),
      ]);
      expect(await store.latest({ namespace: 'payments' }, ['create', 'update'])).toMatchObject({
        sequence: 2,
      });
      expect(await store.latest({ namespace: 'payments' }, ['delete'])).toBeUndefined();
    });

    it.each([
      ['quotes and lines', 'a"b\\c\n\r\t\u0001', 'a"b\\c\n\r\t\u0001'],
      ['NUL', 'a\0b', 'a\0b'],
      ['other scripts', 'Grüße 秘密 🔑 \u2028', 'Grüße 秘密 🔑 \u2028'],
      ['a long name', 'x'.repeat(100_000), 'x'.repeat(100_000)],
      ['a long name that does not compress', incompressible(9_000), incompressible(9_000)],
      ['a lone surrogate', 'a\ud800b', 'a\ufffdb'],
    ])('keeps and finds %s in a name', async (_, given, kept) => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      await store.append([entry({ mapping: given, key: given, store: given, note: given })]);
      const [found] = await store.list({ mapping: kept, store: kept, key: kept }, { limit: 2 });
      expect(found).toMatchObject({ mapping: kept, key: kept, store: kept, note: kept });
      expect(await verify(store.stored(1))).toMatchObject({ kind: 'intact', records: 1 });
    });
  });

  describe(`${name}: intents without an outcome`, () => {
    const intent = entry({ phase: 'intent' });
    const outcome = entry({ phase: 'outcome' });

    it('takes a process that still runs for no crash', async () => {
      await using harness = await openHarness();
      await using running = await harness.open('a');
      await using other = await harness.open('b');
      await running.append([intent]);
      expect(await running.unresolved()).toEqual([]);
      expect(await other.unresolved()).toEqual([]);
    });

    it('reports them, oldest first, when their process has ended', async () => {
      await using harness = await openHarness();
      const gone = await harness.open('a');
      await gone.append([intent, entry({ phase: 'intent', secret: 'other' }), entry()]);
      await gone[Symbol.asyncDispose]();
      await using next = await harness.open('b');
      expect(sequences(await next.unresolved())).toEqual([1, 2]);
      expect(sequences(await next.unresolved())).toEqual([1, 2]);
      await next.append([outcome]);
      expect(sequences(await next.unresolved())).toEqual([2]);
    });

    it.each<[string, Partial<Entry>]>([
      ['request', { requestId: 'request-2' }],
      ['namespace', { namespace: 'shop' }],
      ['secret', { secret: 'other' }],
      ['attempt', { attempt: 2 }],
    ])('does not take the outcome of another %s for theirs', async (_, part) => {
      await using harness = await openHarness();
      const gone = await harness.open('a');
      await gone.append([intent, { ...outcome, ...part }]);
      await gone[Symbol.asyncDispose]();
      await using next = await harness.open('b');
      expect(sequences(await next.unresolved())).toEqual([1]);
    });

    it('has nothing to report after an orderly end', async () => {
      await using harness = await openHarness();
      const gone = await harness.open('a');
      await gone.append([intent]);
      await gone.append([outcome]);
      await gone[Symbol.asyncDispose]();
      await using next = await harness.open('b');
      expect(await next.unresolved()).toEqual([]);
    });
  });
}
