import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { watchForeignWrites } from '../../src/audit/foreign-writes.ts';
import type { AuditStore, RecordFilter } from '../../src/audit/store.ts';
import type { Clock } from '../../src/core/clock.ts';
import { AppError } from '../../src/core/errors.ts';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import { type ReadResult, refId, type SourceRef } from '../../src/core/read-result.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { AuditRecorder } from '../../src/reconcile/audit-recorder.ts';
import { createReadDeduplication, noReadDeduplication } from '../../src/reconcile/read-deduplication.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';

const REPLICAS = ['a', 'b'] as const;
type Replica = (typeof REPLICAS)[number];

const found = (version: string, value: string, createdAt?: number): ReadResult => ({
  kind: 'found',
  version,
  value: SecretValue.fromText(value),
  ...(createdAt === undefined ? {} : { createdAt }),
});
const FOUND = found('v1', 'x');

/** There are only a few values, and one of them is more frequent than the others, so that values repeat. */
const ref: fc.Arbitrary<SourceRef> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ key: 'db' }) },
  fc.record(
    {
      key: fc.constantFrom('db', 'api'),
      version: fc.constantFrom('v1', 'previous'),
      object: fc.constantFrom('secret', 'certificate'),
    },
    { requiredKeys: ['key'] },
  ),
);
const failed = (error: AppError): ReadResult => ({ kind: 'failed', error });
const result = fc.oneof(
  { weight: 3, arbitrary: fc.constant(FOUND) },
  fc.tuple(fc.constantFrom('v1', 'v2'), fc.constantFrom('x', 'y')).map((args) => found(...args)),
  fc.constant<ReadResult>({ kind: 'absent' }),
  fc
    .constantFrom('STORE_UNAVAILABLE', 'SOURCE_DELETED', 'ACCESS_DENIED')
    .map((code) => failed(new AppError(code))),
);
const waitMs = fc.constantFrom(0, 1, 999, 1_000, 5_000);
const reading = fc.record({ by: fc.constantFrom(...REPLICAS), ref, result, waitMs });

/** Adds the times at which a store has made its values: when it shows a value of a version for the first time. */
function withCreationTimes(known: Map<string, number>, now: number, readResult: ReadResult): ReadResult {
  if (readResult.kind !== 'found') return readResult;
  const id = `${readResult.version} ${readResult.value.revealText()}`;
  known.set(id, known.get(id) ?? now);
  return { ...readResult, createdAt: known.get(id) ?? now };
}

/** Simulates a process that reads sources with or without de-duplication. */
function openReader(store: AuditStore, remembers: boolean, clock: Clock) {
  const watched = watchForeignWrites(store);
  const readings = remembers
    ? createReadDeduplication(watched.foreignVersion, undefined, watched.isOwn)
    : noReadDeduplication();
  const fingerprints = createFingerprinter(SecretValue.fromBytes(new Uint8Array(32).fill(7)));
  return async (source: SourceRef, readResult: ReadResult): Promise<boolean> => {
    const recorder = new AuditRecorder({
      audit: watched.audit,
      actor: { kind: 'cli' },
      requestId: 'r',
      fingerprints,
      stores: new Map([['s', 'd']]),
      instances: ['test'],
      clock,
      readDeduplication: readings,
    });
    const recording = await recorder.read({ store: 's', ref: source }, readResult);
    recorder.flushReads();
    await recording?.durable;
    return recorder.replacedValues.has(refId({ store: 's', ref: source }));
  };
}

function openReplicas(remembers: boolean, through = (audit: AuditStore): AuditStore => audit) {
  const audit = createMemoryAudit({ replica: 'a' });
  const clock = createManualTime();
  const stores: Record<Replica, AuditStore> = { a: audit, b: audit.another('b') };
  const readers = {
    a: openReader(through(stores.a), remembers, clock),
    b: openReader(through(stores.b), remembers, clock),
  };
  return { audit, readers, clock };
}

/** Also collects the filters of all queries for a latest record. */
function openObserved() {
  const filters: RecordFilter[] = [];
  const observed = (audit: AuditStore): AuditStore => ({
    ...audit,
    latest(filter, ...others) {
      filters.push(filter);
      return audit.latest(filter, ...others);
    },
  });
  return { ...openReplicas(true, observed), filters };
}

/** An audit store in which the scheduler decides when queries start and return. */
function lateBy(scheduler: fc.Scheduler): (audit: AuditStore) => AuditStore {
  const late = <A extends readonly unknown[], R>(ask: (...args: A) => Promise<R>) => {
    const begun = scheduler.scheduleFunction((...args: A) => ask(...args));
    return async (...args: A): Promise<R> => {
      const answer = await begun(...args);
      await scheduler.schedule(Promise.resolve());
      return answer;
    };
  };
  return (audit) => ({
    ...audit,
    append: late(audit.append),
    latest: late(audit.latest),
    head: late(audit.head),
  });
}

describe('read de-duplication', () => {
  it('read de-duplication adds the same records as a process that queries the audit log before each read, even if other processes write to the log', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(reading, fc.integer({ min: 1, max: 4 }))), async (all) => {
        const remembering = openReplicas(true);
        const asking = openReplicas(false);
        const known = new Map<string, number>();
        for (const [{ by, ref: source, result: shown, waitMs: ms }, times] of all) {
          for (const { clock } of [remembering, asking]) clock.set(clock.now() + ms);
          const readResult = withCreationTimes(known, asking.clock.now(), shown);
          for (let time = 0; time < times; time += 1)
            expect(await remembering.readers[by](source, readResult)).toBe(
              await asking.readers[by](source, readResult),
            );
        }
        expect(remembering.audit.records).toEqual(asking.audit.records);
      }),
      { numRuns: 500 },
    );
  });

  it('read de-duplication marks no readable source as failing, whatever the order of the query results', async () => {
    const plain = fc.record({
      by: fc.constantFrom('a', 'a', 'b'),
      key: fc.constantFrom('db', 'db', 'api'),
      result: fc.oneof({ weight: 2, arbitrary: fc.constant(FOUND) }, result),
    } as const);
    const rounds = fc.array(fc.array(plain, { minLength: 1, maxLength: 3 }), { maxLength: 6 });
    const db = { key: 'db' };
    await fc.assert(
      fc.asyncProperty(rounds, fc.scheduler(), async (all, scheduler) => {
        const { audit, readers } = openReplicas(true, lateBy(scheduler));
        for (const round of all)
          await scheduler.waitFor(
            Promise.all(round.map(({ by, key, result: readResult }) => readers[by]({ key }, readResult))),
          );
        await scheduler.waitFor(readers.a(db, FOUND));
        await scheduler.waitFor(readers.a(db, FOUND));
        const last = await audit.latest({ store: 's', key: 'db' }, ['read']);
        expect(last?.outcome).toBe('ok');
      }),
      { numRuns: 1_000 },
    );
  });

  it('read de-duplication adds one record if a sweep, an event and a job read one source at the same time', async () => {
    const results = fc.constantFrom(FOUND, failed(new AppError('STORE_UNAVAILABLE')));
    const rounds = fc.array(fc.tuple(results, fc.integer({ min: 1, max: 4 })), {
      minLength: 1,
      maxLength: 5,
    });
    await fc.assert(
      fc.asyncProperty(rounds, fc.scheduler(), async (all, scheduler) => {
        const { audit, readers } = openReplicas(true, lateBy(scheduler));
        for (const [readResult, times] of all)
          await scheduler.waitFor(
            Promise.all(Array.from({ length: times }, () => readers.a({ key: 'db' }, readResult))),
          );
        const changes = all.filter(([readResult], n) => readResult !== all[n - 1]?.[0]);
        expect(audit.records.map(({ outcome }) => outcome)).toEqual(
          changes.map(([readResult]) => (readResult === FOUND ? 'ok' : 'failed')),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('read de-duplication makes no query for unchanged reads until another process writes to the audit log', async () => {
    const { readers, filters } = openObserved();
    for (let pass = 0; pass < 2; pass += 1) await readers.a({ key: 'db' }, FOUND);
    const before = filters.length;
    for (let pass = 0; pass < 3; pass += 1) await readers.a({ key: 'db' }, FOUND);
    expect(filters.length).toBe(before);
    await readers.b({ key: 'api' }, { kind: 'absent' });
    const since = filters.length;
    await readers.a({ key: 'db' }, FOUND);
    expect(filters.length).toBe(since + 1);
  });

  it('read de-duplication makes no query for a first read while it has written the whole audit log itself', async () => {
    const { audit, readers, filters } = openObserved();
    await readers.a({ key: 'db' }, FOUND);
    await readers.a({ key: 'api' }, { kind: 'absent' });
    filters.length = 0;
    await readers.a({ key: 'web' }, FOUND);
    expect(filters).toEqual([]);
    // These sources have records.
    await readers.a({ key: 'api' }, FOUND);
    await readers.a({ key: 'db', object: 'certificate' }, FOUND);
    expect(filters.map(({ key }) => key)).toContain('api');
    await readers.b({ key: 'other' }, FOUND);
    await readers.a({ key: 'more' }, FOUND);
    expect(filters.map(({ key }) => key)).toContain('more');
    expect(audit.records).toHaveLength(7);
  });

  it('read de-duplication makes one query for a new value whose previous read this process has recorded', async () => {
    const { audit, readers, filters } = openObserved();
    await readers.a({ key: 'db' }, FOUND);
    filters.length = 0;
    await readers.a({ key: 'db' }, found('v2', 'y'));
    expect(filters).toEqual([{ store: 's', key: 'db', version: 'v2', fingerprint: expect.any(String) }]);
    expect(audit.records.map(({ sources }) => sources[0]?.version)).toEqual(['v1', 'v2']);
  });

  it('read de-duplication makes no query for a version that the store made after the last record', async () => {
    const { audit, readers, filters, clock } = openObserved();
    await readers.a({ key: 'db' }, FOUND);
    filters.length = 0;
    clock.set(clock.now() + 2_000);
    await readers.a({ key: 'db' }, found('v2', 'y', clock.now()));
    expect(filters).toEqual([]);
    expect(audit.records.map(({ sources }) => sources[0]?.version)).toEqual(['v1', 'v2']);
    // An older version may have a record.
    await readers.a({ key: 'db' }, found('v1', 'x', clock.now() - 5_000));
    expect(filters).toHaveLength(1);
    expect(audit.records).toHaveLength(2);
  });

  it('read de-duplication makes a query for a version that is a fingerprint, however new it is', async () => {
    const { readers, filters, clock } = openObserved();
    await readers.a({ key: 'db' }, FOUND);
    filters.length = 0;
    await readers.a({ key: 'db' }, found(`01234567:${'ab'.repeat(32)}`, 'y', clock.now() + 60_000));
    expect(filters).toHaveLength(1);
  });

  it('read de-duplication ignores the result of a query if another process wrote to the audit log after the query', async () => {
    let mark = 1;
    const readings = createReadDeduplication(async () => mark);
    const db = { store: 's', ref: { key: 'db' } };
    const read = { version: 'v1', after: 'x', at: 2_000 };
    const before = await readings.lookUp(db);
    mark = 2;
    const after = await readings.lookUp(db);
    before.remember(read);
    expect(after.compare(read)).toBeUndefined();
    after.remember(read);
    expect(after.compare(read)).toBe('same');
    expect(after.compare({ ...read, version: 'v2' })).toBe('otherVersion');
    expect(after.compare({ ...read, version: 'v2' }, 2_001)).toBe('newVersion');
    expect(after.compare({ ...read, after: 'y' })).toBe('otherValue');
    expect(before.compare(read)).toBeUndefined();
    readings.clear();
    expect(after.compare(read)).toBeUndefined();
  });
});
