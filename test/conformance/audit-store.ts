import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Action, AuditRecord, Entry, ReviewState } from '../../src/audit/entry.ts';
import { limitToNamespaces } from '../../src/audit/query/limited.ts';
import type { AuditStore, RecordFilter } from '../../src/audit/store.ts';
import { verify } from '../../src/audit/verify/verify.ts';
import { formatTarget } from '../../src/core/target.ts';
import { bare, entry, fingerprint, recordsOf } from '../audit/sample.ts';

/** An empty audit store that several processes can open. */
export interface AuditHarness extends AsyncDisposable {
  /** Opens the store as a new process. Disposing the store ends the process. */
  open(replica: string): Promise<AuditStore>;
}

export const HARNESS_INSTANCE = 'prod-eu';
export const HARNESS_START = Date.parse('2026-11-25T12:00:00.000Z');

/** Creates a clock that advances by one second at each call. */
export function tickingClock(): { now(): number } {
  let time = HARNESS_START - 1000;
  return {
    now: () => {
      time += 1000;
      return time;
    },
  };
}

/** Returns a text that does not compress. It is the same at each call. */
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
  describe(`${name}: the check that the store is writable`, () => {
    it('checks that the store is writable without writing a record', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      await store.checkWritable();
      await store.append([entry()]);
      const before = await store.head();
      await Promise.all([store.checkWritable(), store.checkWritable()]);
      expect(await store.head()).toEqual(before);
      const [next] = await store.append([entry()]);
      expect(next).toMatchObject({ sequence: 2, previousHash: before.hash });
      expect(await verify(store.storedRecords(1), { until: await store.head() })).toMatchObject({
        records: 2,
      });
    });

    it('does not report a closed store as writable', async () => {
      await using harness = await openHarness();
      const store = await harness.open('a');
      await store[Symbol.asyncDispose]();
      await expect(store.checkWritable()).rejects.toMatchObject(UNAVAILABLE);
    });
  });

  describe(`${name}: append`, () => {
    it('chains each appended record to the record before it', async () => {
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
      expect(await verify(store.storedRecords(1))).toMatchObject({ kind: 'intact', records: 2 });
    });

    it('returns to each concurrent caller its own records, and writes the records of all callers into one chain', async () => {
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
      expect(await verify(store.storedRecords(1))).toMatchObject({ kind: 'intact', records: 30 });
    });

    it('keeps a single chain when several processes append records', async () => {
      await using harness = await openHarness();
      await using a = await harness.open('a');
      await using b = await harness.open('b');
      await Promise.all([a, b, a, b, a].map((store) => store.append([entry(), entry()])));
      expect(await verify(b.storedRecords(1), { until: await a.head() })).toMatchObject({
        kind: 'intact',
        records: 10,
      });
    });

    it('drops unknown fields of an entry when it appends the entry', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      const withSecrets = {
        ...entry(),
        password: 'hunter2',
        actor: { kind: 'cli', token: 'hunter2' },
      } as const;
      await store.append([
        { ...withSecrets, sources: [{ store: 's', key: 'k', version: '1', ...{ value: 'hunter2' } }] },
      ]);
      expect(JSON.stringify(await collect(store.storedRecords(1)))).not.toContain('hunter2');
    });

    it.each<[string, Partial<Entry>]>([
      ['a value in place of a fingerprint', { after: 'hunter2' }],
      ['a sentence in place of a code', { code: 'permission denied' }],
      ['a count that is not a number', { counts: { read: Number.NaN } }],
      ['an unknown action', { action: 'peek' as 'read' }],
      ['a plain value in `values`', { values: { DB_PASSWORD: 'hunter2' } }],
      ['a sentence as the name of a value', { values: { 'the password': fingerprint(1) } }],
      [
        'more values than allowed',
        { values: Object.fromEntries(Array.from({ length: 501 }, (_, n) => [`k${n}`, fingerprint(n)])) },
      ],
    ])('rejects an entry with %s, and appends valid entries', async (_, part) => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      const bad = store.append([entry(part)]);
      const good = store.append([entry()]);
      await expect(bad).rejects.toMatchObject({ code: 'INTERNAL' });
      expect(sequences(await good)).toEqual([1]);
    });

    it('does not report a closed store as writable', async () => {
      await using harness = await openHarness();
      const store = await harness.open('a');
      await store[Symbol.asyncDispose]();
      await expect(store.append([entry()])).rejects.toMatchObject(UNAVAILABLE);
      await expect(store.list({}, { limit: 1 })).rejects.toMatchObject(UNAVAILABLE);
    });
  });

  describe(`${name}: queries`, () => {
    it('returns records in pages, newest first, without gaps or duplicates', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      await store.append(Array.from({ length: 7 }, () => bare()));
      const first = await store.list({}, { limit: 3 });
      const second = await store.list({}, { limit: 3, before: 5 });
      await store.append([bare()]);
      const third = await store.list({}, { limit: 3, before: 2 });
      expect([first, second, third].map(sequences)).toEqual([[7, 6, 5], [4, 3, 2], [1]]);
    });

    it('returns the record with a given sequence number, and undefined for an unknown number', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      const [record] = await store.append([entry()]);
      expect(await store.get(1)).toEqual(record);
      expect(await store.get(2)).toBeUndefined();
    });

    it('streams the stored records from any sequence number on, oldest first', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      await store.append(Array.from({ length: 1203 }, () => bare()));
      expect(sequences(await recordsOf(store, 1))).toEqual(Array.from({ length: 1203 }, (_, n) => n + 1));
      expect(sequences(await recordsOf(store, 1200))).toEqual([1200, 1201, 1202, 1203]);
      expect(await recordsOf(store, 1204)).toEqual([]);
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
      bare({ store: 'aws-prod', counts: { read: 3 }, phase: 'outcome' }),
      entry({
        sources: [
          { store: 'aws-prod', key: 'x', version: '1' },
          { store: 'team-vault', key: 'payments/api', version: '1' },
        ],
        phase: 'intent',
        values: { a: fingerprint(20), b: fingerprint(9), c: fingerprint(20), ['__proto__']: fingerprint(21) },
        note: '"phase":"outcome","instance":"other"',
      }),
    ];

    const queries: readonly (readonly [RecordFilter, number[]])[] = [
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
      [{ fingerprint: fingerprint(9) }, [7, 4]],
      [{ fingerprint: fingerprint(12) }, [3, 2, 1]],
      [{ fingerprint: fingerprint(12), mapping: 'shop' }, [2]],
      [{ fingerprint: fingerprint(20) }, [7]],
      [{ fingerprint: fingerprint(20), store: 'aws-prod', key: 'x' }, [7]],
      [{ fingerprint: fingerprint(20), store: 'aws-prod', key: 'y' }, []],
      [{ phase: 'outcome' }, [6]],
      [{ phase: 'intent', mapping: 'payments-db' }, [7]],
      [{ instance: 'other' }, []],
      [{ instance: HARNESS_INSTANCE, mapping: 'shop' }, [2]],
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

    it('lists the records that match all given filters', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      for (const recordedEntry of recorded) await store.append([recordedEntry]);
      for (const [filter, expected] of queries) {
        expect([filter, sequences(await store.list(filter, { limit: 100 }))]).toEqual([filter, expected]);
        const page = await store.list(filter, { limit: 1, before: 7 });
        expect([filter, sequences(page)]).toEqual([filter, expected.filter((n) => n < 7).slice(0, 1)]);
      }
    });

    it.each<[readonly string[], number[]]>([
      [['a'], [1]],
      [
        ['a', 'b-*'],
        [3, 2, 1],
      ],
      [['*-x'], [4, 2]],
      [['a_', 'b%', 'A'], []],
      [Array.from({ length: 2_000 }, (_, n) => `n${n}`).concat('a'), [1]],
      [[], []],
    ])('lists only the records in the namespaces %j', async (namespaces, expected) => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      const inNamespace = (namespace: string) => entry({ namespace });
      await store.append([...['a', 'b-x', 'b-y', 'c-x', 'ab'].map(inNamespace), bare()]);
      expect(sequences(await store.list({ namespaces }, { limit: 9 }))).toEqual(expected);
      const limited = limitToNamespaces(store, namespaces);
      expect(sequences(await limited.list({}, { limit: 9 }))).toEqual(expected);
      const texts = await collect(limited.storedRecords(1));
      expect(texts.map(({ text }) => (JSON.parse(text) as AuditRecord).sequence)).toEqual(
        expected.toReversed(),
      );
    });

    it('finds a record without a version by the source that it is about, unless the record lists versions of this source', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      const about = { store: 'vault', key: 'db' };
      await store.append([
        entry({ ...about, sources: [] }),
        entry({ ...about, sources: [{ ...about, version: '1' }] }),
        entry({ ...about, sources: [{ ...about, key: 'other', version: '1' }] }),
      ]);
      expect(sequences(await store.list({ ...about, version: '' }, { limit: 5 }))).toEqual([3, 1]);
      expect(sequences(await store.list(about, { limit: 5 }))).toEqual([3, 2, 1]);
    });

    it('shows a limited person the reviews of visible records only', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      const review = (sequence: number) => bare({ action: 'review', review: { sequence, state: 'flagged' } });
      await store.append([entry({ namespace: 'a' }), entry({ namespace: 'b' }), review(1), review(2)]);
      const limited = limitToNamespaces(store, ['a']);
      expect([...(await limited.reviews([1, 2])).keys()]).toEqual([1]);
      expect(await limited.get(1)).toMatchObject({ sequence: 1 });
      expect(await limited.get(2)).toBeUndefined();
      expect(sequences(await limited.list({ review: 'flagged' }, { limit: 9 }))).toEqual([1]);
    });

    it('returns the latest record whose action is one of several actions', async () => {
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

    it('returns the latest record of each key and of each target when it gets many queries at the same time', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      const awkwardNames = ['{a,"b"}', "it's \\ odd", 'NULL', '', 'x\0y', '🔑', '$1', 'a,b'];
      const names = [...awkwardNames, ...Array.from({ length: 130 }, (_, n) => `k/${n}`)];
      const read = (key: string, version: string) =>
        bare({ action: 'read', store: 's', key, sources: [{ store: 's', key, version }] });
      await store.append(names.flatMap((key) => [read(key, '1'), read(key, '2')]));
      await store.append(names.map((secret) => entry({ namespace: 'n', secret, action: 'create' })));
      const queries = ['gone', ...names].flatMap((name): [RecordFilter, Action[]][] => [
        [{ store: 's', key: name }, ['read']],
        [{ store: 's', key: name, version: '1' }, ['read']],
        [{ mapping: 'payments-db', namespace: 'n', secret: name }, ['create', 'update']],
      ]);
      const concurrent = await Promise.all(queries.map((query) => store.latest(...query)));
      const sequential: (AuditRecord | undefined)[] = [];
      for (const query of queries) sequential.push(await store.latest(...query));
      expect(concurrent).toEqual(sequential);
      const subjects = concurrent.map((auditRecord) => auditRecord?.key ?? auditRecord?.secret);
      expect(subjects).toEqual([...Array(3).fill(undefined), ...names.flatMap((key) => [key, key, key])]);
      expect(concurrent.slice(3, 5).map((auditRecord) => auditRecord?.sources[0]?.version)).toEqual([
        '2',
        '1',
      ]);
      const closed = store.latest({ store: 's', key: 'k/1' }, ['read']);
      await store[Symbol.asyncDispose]();
      const queriesAfterClose = [closed, ...names.map((key) => store.latest({ store: 's', key }, ['read']))];
      for (const { status, ...result } of (await Promise.allSettled(queriesAfterClose)).slice(1))
        expect([status, result]).toMatchObject(['rejected', { reason: UNAVAILABLE }]);
    });

    it('returns the latest write of a given target in which a given source was used', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      const from = (...keys: readonly string[]) =>
        keys.map((key) => ({ store: 'team-vault', key, version: '1' }));
      await store.append([
        entry({ action: 'create', phase: 'outcome', sources: from('a', 'b') }),
        entry({ phase: 'outcome', sources: from('b') }),
        entry({ phase: 'intent', sources: from('a', 'b') }),
        entry({ phase: 'outcome', secret: 'other', sources: from('a') }),
      ]);
      const { mapping = '', namespace = '', secret = '' } = entry();
      const filter = { mapping, namespace, secret, outcome: 'ok', phase: 'outcome' } as const;
      const last = (key: string) =>
        store.latest({ ...filter, store: 'team-vault', key, instance: HARNESS_INSTANCE }, [
          'create',
          'update',
        ]);
      expect(await last('a')).toMatchObject({ sequence: 1 });
      expect(await last('b')).toMatchObject({ sequence: 2 });
      expect(await last('c')).toBeUndefined();
    });

    it.each([
      ['quotes and line breaks', 'a"b\\c\n\r\t\u0001', 'a"b\\c\n\r\t\u0001'],
      ['NUL', 'a\0b', 'a\0b'],
      ['other scripts', 'Grüße 秘密 🔑 \u2028', 'Grüße 秘密 🔑 \u2028'],
      ['a long name', 'x'.repeat(10_000), 'x'.repeat(10_000)],
      ['a long name that does not compress', incompressible(9_000), incompressible(9_000)],
      ['a lone surrogate', 'a\ud800b', 'a\ufffdb'],
    ])('stores a name with %s, and finds the record by this name', async (_, input, stored) => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      await store.append([entry({ mapping: input, key: input, store: input, note: input })]);
      const [record] = await store.list({ mapping: stored, store: stored, key: stored }, { limit: 2 });
      expect(record).toMatchObject({ mapping: stored, key: stored, store: stored, note: stored });
      expect(await verify(store.storedRecords(1))).toMatchObject({ kind: 'intact', records: 1 });
    });
  });

  describe(`${name}: unresolved intents`, () => {
    const intent = entry({ phase: 'intent' });
    const outcome = entry({ phase: 'outcome' });

    it('does not report an intent as unresolved while its process is running', async () => {
      await using harness = await openHarness();
      await using running = await harness.open('a');
      await using other = await harness.open('b');
      await running.append([intent]);
      expect(await running.unresolvedIntents()).toEqual([]);
      expect(await other.unresolvedIntents()).toEqual([]);
    });

    it('reports an intent of a running process as unresolved if this process declares the change to be over', async () => {
      await using harness = await openHarness();
      await using running = await harness.open('a');
      await running.append([intent, entry({ phase: 'intent', secret: 'other' })]);
      const isOver = ({ secret }: AuditRecord) => secret === 'other';
      expect(sequences(await running.unresolvedIntents(isOver))).toEqual([2]);
      expect(await running.unresolvedIntents()).toEqual([]);
      await using other = await harness.open('b');
      expect(await other.unresolvedIntents(isOver)).toEqual([]);
      await running.append([{ ...outcome, secret: 'other' }]);
      expect(await running.unresolvedIntents(isOver)).toEqual([]);
    });

    it('returns the intents without an outcome for one request and one target, no matter which process recorded the intents', async () => {
      await using harness = await openHarness();
      const ended = await harness.open('a');
      const { requestId, namespace = '', secret = '' } = intent;
      const target = { namespace, secret };
      expect(await ended.openAttempts(requestId, target)).toEqual([]);
      await ended.append([intent, { ...intent, attempt: 3 }, { ...intent, secret: 'other', attempt: 7 }]);
      await ended[Symbol.asyncDispose]();
      await using next = await harness.open('b');
      await next.append([
        { ...intent, attempt: 2 },
        { ...intent, requestId: 'request-2', attempt: 8 },
      ]);
      const open = async () => (await next.openAttempts(requestId, target)).toSorted();
      expect(await open()).toEqual([1, 2, 3]);
      await next.append([outcome, { ...outcome, attempt: 2 }]);
      expect(await open()).toEqual([3]);
      expect(await next.openAttempts(requestId, { namespace: 'none', secret })).toEqual([]);
      expect(await next.openAttempts('\0', target)).toEqual([]);
    });

    it('reports the intents of an ended process as unresolved, oldest first', async () => {
      await using harness = await openHarness();
      const ended = await harness.open('a');
      await ended.append([intent, entry({ phase: 'intent', secret: 'other' }), entry()]);
      await ended[Symbol.asyncDispose]();
      await using next = await harness.open('b');
      expect(sequences(await next.unresolvedIntents())).toEqual([1, 2]);
      expect(sequences(await next.unresolvedIntents())).toEqual([1, 2]);
      await next.append([outcome]);
      expect(sequences(await next.unresolvedIntents())).toEqual([2]);
    });

    it.each<[string, Partial<Entry>]>([
      ['request', { requestId: 'request-2' }],
      ['namespace', { namespace: 'shop' }],
      ['secret', { secret: 'other' }],
      ['attempt', { attempt: 2 }],
    ])('reports an intent as unresolved if no outcome has the %s of this intent', async (_, part) => {
      await using harness = await openHarness();
      const ended = await harness.open('a');
      await ended.append([intent, { ...outcome, ...part }]);
      await ended[Symbol.asyncDispose]();
      await using next = await harness.open('b');
      expect(sequences(await next.unresolvedIntents())).toEqual([1]);
    });

    it('does not report an intent as unresolved if it has an outcome', async () => {
      await using harness = await openHarness();
      const ended = await harness.open('a');
      await ended.append([intent]);
      await ended.append([outcome]);
      await ended[Symbol.asyncDispose]();
      await using next = await harness.open('b');
      expect(await next.unresolvedIntents()).toEqual([]);
    });

    it('reports an intent as unresolved if it comes after an outcome of the same change in the same batch', async () => {
      await using harness = await openHarness();
      const ended = await harness.open('a');
      await ended.append([intent, outcome, intent]);
      await ended[Symbol.asyncDispose]();
      await using next = await harness.open('b');
      expect(sequences(await next.unresolvedIntents())).toEqual([3]);
    });
  });

  describe(`${name}: reviews`, () => {
    const review = (sequence: number, state: ReviewState, part: Partial<Entry> = {}): Entry =>
      bare({
        action: 'review',
        actor: { kind: 'operator', name: 'eve' },
        review: { sequence, state },
        ...part,
      });

    it('returns the last review of each record, and finds records by the state of their last review', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      await store.append(Array.from({ length: 5 }, () => entry()));
      await store.append([review(2, 'flagged', { note: 'why?' })]);
      await store.append([review(4, 'reviewed'), review(3, 'reviewed'), review(3, 'flagged')]);
      await store.append([review(2, 'reviewed', { note: 'it was me' })]);
      await store.append([review(4, 'unreviewed')]);
      const reviews = await store.reviews([1, 2, 3, 4, 6, 99]);
      expect([...reviews.keys()].sort()).toEqual([2, 3, 4]);
      expect(reviews.get(2)).toEqual({
        state: 'reviewed',
        by: 'eve',
        time: '2026-11-25T12:00:03.000Z',
        note: 'it was me',
        sequence: 10,
      });
      expect(reviews.get(3)).toEqual({
        state: 'flagged',
        by: 'eve',
        time: '2026-11-25T12:00:02.000Z',
        sequence: 9,
      });
      const find = async (filter: RecordFilter) => sequences(await store.list(filter, { limit: 10 }));
      expect(await find({ review: 'unreviewed' })).toEqual([5, 4, 1]);
      expect(await find({ review: 'reviewed' })).toEqual([2]);
      expect(await find({ review: 'flagged', mapping: 'payments-db' })).toEqual([3]);
      expect(await find({ review: 'flagged', mapping: 'other' })).toEqual([]);
      expect(await find({ action: 'review' })).toEqual([11, 10, 9, 8, 7, 6]);
      expect(sequences(await store.list({ review: 'unreviewed' }, { limit: 1, before: 5 }))).toEqual([4]);
      expect(await verify(store.storedRecords(1))).toMatchObject({ kind: 'intact', records: 11 });
    });

    it('accepts a review whose record comes before the review in the same batch, and ignores a review whose record is the review itself or comes after the review', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      await store.append([entry(), review(1, 'flagged'), review(2, 'reviewed'), review(5, 'reviewed')]);
      await store.append([entry()]);
      expect([...(await store.reviews([1, 2, 3, 4, 5])).keys()]).toEqual([1]);
      expect(sequences(await store.list({ review: 'unreviewed' }, { limit: 9 }))).toEqual([5]);
      expect(await verify(store.storedRecords(1))).toMatchObject({ kind: 'intact', records: 5 });
      expect((await store.reviews([])).size).toBe(0);
    });
  });

  describe(`${name}: prune`, () => {
    it('after records were pruned, the remaining chain can be verified from its base', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      expect(await store.base()).toEqual({ sequence: 0, hash: '0'.repeat(64) });
      const records = await store.append(Array.from({ length: 700 }, () => entry()));
      const until = records[599] ?? expect.fail();
      expect(await store.prune(until)).toBe(600);
      const base = await store.base();
      expect(base).toEqual({ sequence: 600, hash: until.hash });
      expect(await verify(store.storedRecords(1), { after: base, until: await store.head() })).toMatchObject({
        kind: 'intact',
        records: 100,
      });
      expect(await store.get(600)).toBeUndefined();
      expect(await store.get(601)).toEqual(records[600]);
      expect(sequences(await store.list({}, { limit: 1000 }))).toHaveLength(100);
      expect(sequences(await store.list({ key: 'payments/db' }, { limit: 10, before: 603 }))).toEqual([
        602, 601,
      ]);
      expect(sequences(await recordsOf(store, 598))).toHaveLength(100);
      expect(await store.prune(until)).toBe(0);
      const [next] = await store.append([entry()]);
      expect(next).toMatchObject({ sequence: 701, previousHash: records[699]?.hash });
    });

    it('continues the chain after it has pruned all records', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      await store.append([entry(), entry()]);
      await store.prune(await store.head());
      expect(await store.head()).toEqual(await store.base());
      expect(await verify(store.storedRecords(1), { after: await store.base() })).toMatchObject({
        records: 0,
      });
      await store.append([entry()]);
      const after = await store.base();
      expect(await verify(store.storedRecords(1), { after })).toMatchObject({ kind: 'intact', records: 1 });
      expect(await store.prune(await store.head())).toBe(1);
    });

    it('refuses to prune up to a position that is not a record of the chain', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      const [first, second] = await store.append([entry(), entry(), entry()]);
      const hash = 'a'.repeat(64);
      for (const sequence of [0, 1, 3, 4])
        await expect(store.prune({ sequence, hash })).rejects.toMatchObject(UNAVAILABLE);
      expect(await store.base()).toMatchObject({ sequence: 0 });
      await store.prune(second ?? expect.fail());
      await expect(store.prune(first ?? expect.fail())).rejects.toMatchObject(UNAVAILABLE);
      expect(await store.base()).toMatchObject({ sequence: 2 });
    });

    it('keeps the parts of the last configuration of each instance', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      expect(await store.configuration('a')).toEqual(new Map());
      expect(await store.keptConfiguration('a')).toBeUndefined();
      const many = Array.from({ length: 1_200 }, (_, n) => [`m${n}`, `${n}`] as const);
      const whole = { from: undefined, removed: [] };
      const first = new Map([['', 'sections'], ['hash', '{"é":"\\u0000"}'], ...many]);
      expect(await store.keepConfiguration('a', { ...whole, hash: 'one', parts: first })).toBe(true);
      expect(await store.keepConfiguration('b', { ...whole, hash: 'other', parts: [['m1', 'b']] })).toBe(
        true,
      );
      expect(await store.configuration('a')).toEqual(first);
      const removed = many.slice(0, 250).map(([name]) => name);
      const change = { hash: 'two', parts: [['m900', 'new'] as const], removed };
      expect(await store.keepConfiguration('a', { ...change, from: 'two' })).toBe(false);
      expect(await store.configuration('a')).toEqual(first);
      expect(await store.keepConfiguration('a', { ...change, from: 'one' })).toBe(true);
      for (const name of removed) first.delete(name);
      expect(await store.configuration('a')).toEqual(first.set('m900', 'new'));
      expect(await store.keptConfiguration('a')).toBe('two');
      expect(await store.configuration('b')).toEqual(new Map([['m1', 'b']]));
      expect(await store.head()).toMatchObject({ sequence: 0 });
    });

    it('keeps the list of targets, the unresolved intents and the latest records of each target when it prunes records', async () => {
      await using harness = await openHarness();
      const one = { action: 'update', secret: 'one', phase: 'outcome' } as const;
      const ended = await harness.open('gone');
      await ended.append([
        entry({ action: 'create', secret: 'one', phase: 'outcome', values: { a: fingerprint(31) } }),
        entry({ ...one, note: 'older' }),
        entry({ ...one, note: 'newer', values: { a: fingerprint(33), b: fingerprint(33) } }),
        entry({ action: 'create', secret: 'two', phase: 'outcome' }),
        entry({ action: 'refuse', secret: 'three', outcome: 'refused', code: 'NOT_OWNED' }),
        entry({ action: 'update', secret: 'four', phase: 'intent' }),
        entry({ action: 'update', secret: 'four', phase: 'intent', requestId: 'request-2' }),
        bare({ action: 'read', store: 's', key: 'k', sources: [{ store: 's', key: 'k', version: '7' }] }),
      ]);
      await ended[Symbol.asyncDispose]();
      await using store = await harness.open('a');
      await store.append([entry({ action: 'update', secret: 'two', phase: 'outcome', note: 'still there' })]);
      await store.prune(await store.get(8).then((record) => record ?? expect.fail()));
      const target = (secret: string) => ({ namespace: 'payments', secret });
      const targetNames = async () => (await store.targets()).map(({ secret }) => secret).sort();
      expect(await targetNames()).toEqual(['four', 'one', 'two']);
      const last = (secret: string, actions: readonly Action[]) =>
        store.latest({ mapping: 'payments-db', ...target(secret) }, actions);
      expect(await last('one', ['create', 'update'])).toMatchObject({ note: 'newer', sequence: 3 });
      expect(await last('one', ['create'])).toMatchObject({ sequence: 1 });
      expect(await last('two', ['create', 'update'])).toMatchObject({ sequence: 9 });
      expect(await last('three', ['refuse'])).toMatchObject({ code: 'NOT_OWNED' });
      const latestWith = (value: number, filter: RecordFilter = {}) =>
        store.latest({ fingerprint: fingerprint(value), ...filter }, ['create', 'update']);
      expect(await latestWith(31)).toMatchObject({ sequence: 1 });
      expect(await latestWith(33)).toMatchObject({ sequence: 3 });
      expect(await latestWith(33, { phase: 'outcome', instance: HARNESS_INSTANCE })).toMatchObject({
        sequence: 3,
      });
      expect(await latestWith(33, { phase: 'intent' })).toBeUndefined();
      expect(await latestWith(33, { instance: 'other' })).toBeUndefined();
      expect(await store.latest({ store: 's', key: 'k' }, ['read'])).toMatchObject({ sequence: 8 });
      expect(await store.latest({ store: 's', key: 'other' }, ['read'])).toBeUndefined();
      expect(sequences(await store.unresolvedIntents())).toEqual([6, 7]);
      // This outcome resolves one unresolved intent. Then all records are pruned again.
      await store.append([entry({ action: 'update', secret: 'four', phase: 'outcome' })]);
      await store.prune(await store.head());
      expect(await targetNames()).toEqual(['four', 'one', 'two']);
      expect(await last('one', ['create', 'update'])).toMatchObject({ note: 'newer' });
      expect(await last('two', ['create', 'update'])).toMatchObject({ note: 'still there' });
      expect(sequences(await store.unresolvedIntents())).toEqual([7]);
      expect(sequences(await store.list({}, { limit: 5 }))).toEqual([]);
    });

    it('drops the reviews of a record when it prunes the record', async () => {
      await using harness = await openHarness();
      await using store = await harness.open('a');
      const [first] = await store.append([entry(), entry(), entry()]);
      const reviewEntry = { action: 'review', actor: { kind: 'operator', name: 'eve' } } as const;
      await store.append([
        bare({ ...reviewEntry, review: { sequence: 1, state: 'flagged' } }),
        bare({ ...reviewEntry, review: { sequence: 2, state: 'flagged' } }),
      ]);
      await store.prune(first ?? expect.fail());
      expect([...(await store.reviews([1, 2, 3])).keys()]).toEqual([2]);
      expect(sequences(await store.list({ review: 'flagged' }, { limit: 5 }))).toEqual([2]);
      const after = await store.base();
      expect(await verify(store.storedRecords(1), { after })).toMatchObject({ kind: 'intact', records: 4 });
    });
  });

  describe(`${name}: importRecords`, () => {
    it('imports a chain in several parts, and appends new records to the imported chain', async () => {
      await using from = await openHarness();
      await using to = await openHarness();
      await using source = await from.open('a');
      await source.append([
        entry({ phase: 'intent' }),
        entry(),
        entry({ namespace: 'shop', requestId: 'r' }),
      ]);
      await source.append([bare({ action: 'review', review: { sequence: 2, state: 'flagged' } })]);
      const records = await collect(source.storedRecords(1));
      await using target = await to.open('b');
      await target.importRecords(records.slice(0, 2), await source.base());
      await expect(target.importRecords(records.slice(3), await source.head())).rejects.toMatchObject(
        UNAVAILABLE,
      );
      await target.importRecords(records.slice(2), await target.head());
      expect(await collect(target.storedRecords(1))).toEqual(records);
      expect(await target.head()).toEqual(await source.head());
      const named = async (store: AuditStore) => (await store.targets()).map(formatTarget).sort();
      expect(await named(target)).toEqual(await named(source));
      expect(sequences(await target.list({ review: 'flagged' }, { limit: 5 }))).toEqual([2]);
      expect(sequences(await target.unresolvedIntents())).toEqual([1]);
      await target.append([entry()]);
      expect(await verify(target.storedRecords(1))).toMatchObject({ kind: 'intact', records: 5 });
    });

    it('starts an imported chain at the base of the chain from which the records were exported', async () => {
      await using from = await openHarness();
      await using to = await openHarness();
      await using source = await from.open('a');
      const [, second] = await source.append([entry(), entry(), entry(), entry()]);
      await source.prune(second ?? expect.fail());
      await using target = await to.open('b');
      await target.importRecords(await collect(source.storedRecords(1)), await source.base());
      const base = await target.base();
      expect(base).toEqual(await source.base());
      expect(
        await verify(target.storedRecords(1), { after: base, until: await source.head() }),
      ).toMatchObject({
        kind: 'intact',
        records: 2,
      });
    });

    it('refuses to import records that do not form a chain', async () => {
      await using from = await openHarness();
      await using to = await openHarness();
      await using source = await from.open('a');
      await source.append([entry(), entry(), entry()]);
      const [a, b, c] = await collect(source.storedRecords(1));
      if (a === undefined || b === undefined || c === undefined) expect.fail();
      await using target = await to.open('b');
      for (const broken of [[b], [a, c], [a, { ...b, hash: c.hash }, c]])
        await expect(target.importRecords(broken, await source.base())).rejects.toMatchObject(UNAVAILABLE);
      expect(await target.head()).toMatchObject({ sequence: 0 });
      expect(await collect(target.storedRecords(1))).toEqual([]);
    });
  });
}
