import { describe, expect, it } from 'vitest';
import { createBackends } from '../../../src/audit/postgres/backends.ts';
import { createExclusiveLocks } from '../../../src/audit/postgres/locks.ts';
import { openSession } from '../../../src/audit/postgres/session.ts';
import type { AuditStore } from '../../../src/audit/store.ts';
import { verify } from '../../../src/audit/verify/verify.ts';
import { SecretValue } from '../../../src/core/secret-value.ts';
import { entry, recordsOf } from '../../audit/sample.ts';
import { postgres } from '../services/inject.ts';
import { startPostgres } from '../services/postgres.ts';
import { until } from '../services/service.ts';
import { createDatabase, openAt } from './database.ts';
import { type CommitFault, startTcpProxy } from './tcp-proxy.ts';

const UNAVAILABLE = { code: 'AUDIT_UNAVAILABLE' };

async function requests(store: AuditStore): Promise<readonly string[]> {
  expect(await verify(store.storedRecords(1), { until: await store.head() })).toMatchObject({
    kind: 'intact',
  });
  return (await recordsOf(store)).map(({ requestId }) => requestId);
}

async function elapsed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

describe('an append whose connection is cut at the commit', () => {
  it.each<CommitFault>(['never sent', 'not answered'])(
    'an append stores its records exactly once if its commit is %s',
    async (fault) => {
      await using database = await createDatabase(postgres());
      await using proxy = await startTcpProxy(database.url);
      await using store = await openAt(proxy.url);
      await store.append([entry({ requestId: 'before' })]);
      const faultApplied = proxy.onCommit(fault);
      const records = await store.append([entry({ requestId: 'x' }), entry({ requestId: 'y' })]);
      await faultApplied;
      expect(records.map(({ sequence }) => sequence)).toEqual([2, 3]);
      await store.append([entry({ requestId: 'after' })]);
      expect(await requests(store)).toEqual(['before', 'x', 'y', 'after']);
      const [, , last] = await recordsOf(store);
      expect(last).toEqual(records[1]);
    },
  );

  it('an append waits for a commit that reaches the server late, and does not store its records twice', async () => {
    await using database = await createDatabase(postgres());
    await using proxy = await startTcpProxy(database.url);
    await using store = await openAt(proxy.url);
    await using other = await database.open({ replica: 'b' });
    await store.append([entry({ requestId: 'before' })]);
    const faultApplied = proxy.onCommit('sent late');
    const appended = store.append([entry({ requestId: 'x' })]);
    await faultApplied;
    const otherAppend = other.append([entry({ requestId: 'other' })]);
    // Both writers wait for the transaction of the cut connection.
    await until('The wait of both writers', 10_000, async () => {
      const [row] = await database.sql(
        `select count(*) as n from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
      );
      return row?.n === '2';
    });
    proxy.release();
    expect(await appended).toMatchObject([{ requestId: 'x', sequence: 2 }]);
    await otherAppend;
    expect(await requests(store)).toEqual(['before', 'x', 'other']);
  });

  it('an append stores its records once if the server aborts the first transaction, whose commit never arrives', {
    tags: ['long'],
  }, async () => {
    await using database = await createDatabase(postgres());
    await using proxy = await startTcpProxy(database.url);
    await using store = await openAt(proxy.url);
    await using other = await database.open({ replica: 'b' });
    await store.append([entry({ requestId: 'before' })]);
    const faultApplied = proxy.onCommit('sent late');
    const appended = store.append([entry({ requestId: 'x' })]);
    await faultApplied;
    await Promise.all([appended, other.append([entry({ requestId: 'other' })])]);
    proxy.release();
    await store.append([entry({ requestId: 'after' })]);
    expect((await requests(store)).toSorted()).toEqual(['after', 'before', 'other', 'x']);
  });

  it('an append reports that its records may be stored if it cannot check the result of the commit', async () => {
    await using database = await createDatabase(postgres());
    await using proxy = await startTcpProxy(database.url);
    await using store = await openAt(proxy.url);
    await store.append([entry({ requestId: 'before' })]);
    const faultApplied = proxy.onCommit('not answered').then(() => proxy.refuse());
    await expect(store.append([entry({ requestId: 'x' })])).rejects.toMatchObject({
      ...UNAVAILABLE,
      message: expect.stringContaining('the records may be stored'),
    });
    await faultApplied;
    proxy.restore();
    await store.append([entry({ requestId: 'after' })]);
    expect(await requests(store)).toEqual(['before', 'x', 'after']);
  });

  it('an append stores its records once and in one chain when commits fail repeatedly while another replica writes', {
    tags: ['long'],
  }, async () => {
    await using database = await createDatabase(postgres());
    await using proxy = await startTcpProxy(database.url);
    await using store = await openAt(proxy.url);
    await using other = await database.open({ replica: 'b' });
    const faults: readonly CommitFault[] = ['never sent', 'not answered'];
    for (let n = 0; n < 20; n += 1) {
      void proxy.onCommit(faults[n % 2] ?? 'never sent');
      await Promise.all([
        store.append([entry({ requestId: `a-${n}` })]),
        other.append([entry({ requestId: `b-${n}` }), entry({ requestId: `b+${n}` })]),
      ]);
    }
    const requestIds = await requests(store);
    expect(requestIds).toHaveLength(60);
    expect(new Set(requestIds).size).toBe(60);
  });
});

describe('a store during a server outage', () => {
  it('the store rejects operations during a server outage, and accepts operations after the outage', async () => {
    await using database = await createDatabase(postgres());
    await using proxy = await startTcpProxy(database.url);
    await using store = await openAt(proxy.url);
    await store.append([entry({ requestId: 'before' })]);
    proxy.disconnect();
    expect(
      await elapsed(() => expect(store.append([entry()])).rejects.toMatchObject(UNAVAILABLE)),
    ).toBeLessThan(10_000);
    await expect(store.list({}, { limit: 1 })).rejects.toMatchObject(UNAVAILABLE);
    proxy.restore();
    await store.append([entry({ requestId: 'after' })]);
    expect(await store.list({}, { limit: 1 })).toMatchObject([{ requestId: 'after' }]);
    expect(await requests(store)).toEqual(['before', 'after']);
  });

  it('the store waits for a server that restarts', async () => {
    await using server = await startPostgres({ borrow: false });
    await using database = await createDatabase(server);
    await using store = await openAt(database.url);
    await store.append([entry({ requestId: 'before' })]);
    await server.crash();
    const appended = store.append([entry({ requestId: 'during' })]);
    await server.restart();
    expect(await appended).toMatchObject([{ sequence: 2 }]);
    expect(await requests(store)).toEqual(['before', 'during']);
  });

  it('both running and waiting operations fail if the server freezes', { tags: ['long'] }, async () => {
    await using database = await createDatabase(postgres());
    await using proxy = await startTcpProxy(database.url);
    await using store = await openAt(proxy.url);
    await store.append([entry({ requestId: 'before' })]);
    await store.list({}, { limit: 1 });
    proxy.freeze();
    const first = store.append([entry()]);
    const durations = await Promise.all([
      elapsed(() => expect(first).rejects.toMatchObject(UNAVAILABLE)),
      elapsed(() => expect(store.append([entry()])).rejects.toMatchObject(UNAVAILABLE)),
      elapsed(() => expect(store.list({}, { limit: 1 })).rejects.toMatchObject(UNAVAILABLE)),
      elapsed(() => expect(store.exclusively('x', async () => {})).rejects.toMatchObject(UNAVAILABLE)),
      elapsed(() => expect(openAt(proxy.url)).rejects.toMatchObject(UNAVAILABLE)),
    ]);
    for (const ms of durations) expect(ms).toBeLessThan(16_000);
    proxy.restore();
    await store.append([entry({ requestId: 'after' })]);
    expect(await requests(store)).toEqual(['before', 'after']);
  });

  it('the store rejects an append if the server returns from an outage with older data than before', async () => {
    await using database = await createDatabase(postgres());
    await using store = await database.open();
    await store.append([entry(), entry()]);
    await database.sql(`set search_path = secretbridge; delete from records where sequence = 2;
      update head set sequence = 1, hash = (select hash from records where sequence = 1)`);
    await expect(store.append([entry()])).rejects.toMatchObject({
      ...UNAVAILABLE,
      message: expect.stringContaining('lacks records that this process wrote'),
    });
  });
});

describe('the presence of a replica', () => {
  const intent = entry({ phase: 'intent' });

  it('a replica shows its presence by a new lock after its connection was cut, even if the replica writes nothing', async () => {
    await using database = await createDatabase(postgres());
    await using proxy = await startTcpProxy(database.url);
    await using store = await openAt(proxy.url, { replica: 'alive' });
    await using other = await database.open({ replica: 'b', maxWriteDurationMs: 0 });
    await store.append([intent]);
    expect(await other.unresolvedIntents()).toEqual([]);
    proxy.cut();
    await until('The new presence lock', 5_000, async () => (await other.unresolvedIntents()).length === 0);
  });

  it('a replica whose connection was cut counts as present for as long as a write can take', async () => {
    await using database = await createDatabase(postgres());
    await using proxy = await startTcpProxy(database.url);
    await using store = await openAt(proxy.url, { replica: 'cut off' });
    await store.append([intent]);
    proxy.disconnect();
    await using other = await database.open({ replica: 'b' });
    await using impatient = await database.open({ replica: 'c', maxWriteDurationMs: 0 });
    await until(
      'The release of the presence lock',
      5_000,
      async () => (await impatient.unresolvedIntents()).length === 1,
    );
    expect(await other.unresolvedIntents()).toEqual([]);

    // Another replica resolves the intent, and later the first replica resolves it too. Two outcomes are harmless.
    await impatient.append([entry({ phase: 'outcome', outcome: 'failed', code: 'INTERRUPTED' })]);
    proxy.restore();
    await store.append([entry({ phase: 'outcome' })]);
    expect(await requests(other)).toHaveLength(3);
    expect(await impatient.unresolvedIntents()).toEqual([]);
  });
});

it('the store answers a health check while slow queries run', { tags: ['long'] }, async () => {
  await using database = await createDatabase(postgres());
  await using store = await database.open();
  await store.append([entry()]);
  const records = "'secretbridge.records'::regclass";
  const locks = async (granted: string, mode: string) => {
    const sql = `select from pg_locks where relation = ${records} and ${granted} and mode = '${mode}'`;
    return (await database.sql(sql)).length;
  };
  const lockHolder = database.sql(
    'begin; lock table secretbridge.records in access exclusive mode; select pg_sleep(6); commit',
  );
  await until('The table lock', 10_000, async () => (await locks('granted', 'AccessExclusiveLock')) === 1);
  const queries = Promise.allSettled(Array.from({ length: 6 }, () => store.list({}, { limit: 1 })));
  await until(
    'The wait for the table lock',
    10_000,
    async () => (await locks('not granted', 'AccessShareLock')) === 3,
  );
  expect(await elapsed(() => store.head())).toBeLessThan(1_500);
  await Promise.all([lockHolder, queries]);
});

describe('a store with exclusive work', () => {
  it('the store rejects a pending append within three seconds if the store is closed', async () => {
    await using database = await createDatabase(postgres());
    const store = await database.open();
    await store.exclusively('destroy', async () => {
      // Before the append, the store checks that it still has its lock.
      const refusalMs = elapsed(() => expect(store.append([entry()])).rejects.toMatchObject(UNAVAILABLE));
      await store[Symbol.asyncDispose]();
      expect(await refusalMs).toBeLessThan(3_000);
    });
  });

  it('the store rejects new intents but records outcomes after it lost its lock', async () => {
    await using database = await createDatabase(postgres());
    await using store = await database.open();
    await using other = await database.open({ replica: 'b' });
    await store.exclusively('destroy', async () => {
      await store.append([entry({ phase: 'intent' })]);
      await database.sql(`select pg_terminate_backend(pid) from pg_locks
        where locktype = 'advisory' and mode = 'ExclusiveLock' and granted
          and database = (select oid from pg_database where datname = current_database())`);
      await other.exclusively('destroy', async () => {
        await expect(store.append([entry({ phase: 'intent', attempt: 2 })])).rejects.toMatchObject({
          ...UNAVAILABLE,
          message: expect.stringContaining('the lock that this work needs was lost'),
        });
      });
      await store.append([entry({ phase: 'outcome' })]);
    });
    await store.append([entry({ phase: 'intent' })]);
    expect(await requests(store)).toHaveLength(3);
  });

  it('exclusive work times out with BUSY_ELSEWHERE if exclusive work is already running in any process', {
    tags: ['long'],
  }, async () => {
    await using database = await createDatabase(postgres());
    await using store = await database.open();
    const url = async () => SecretValue.fromText(database.url);
    const connector = { url, tls: undefined, name: 'b', readOnly: true, backends: createBackends() };
    const exclusive = createExclusiveLocks(() => openSession(connector), 500);
    const busy = { code: 'BUSY_ELSEWHERE', isTransient: true };
    await store.exclusively('destroy', async () => {
      await expect(exclusive.acquire('destroy')).rejects.toMatchObject(busy);
    });
    {
      await using _ = await exclusive.acquire('destroy');
      await expect(exclusive.acquire('destroy')).rejects.toMatchObject(busy);
    }
    expect(await store.exclusively('destroy', async () => 'done')).toBe('done');
  });

  it('the store runs one piece of exclusive work at a time, even if two replicas request exclusive work concurrently', async () => {
    await using database = await createDatabase(postgres());
    await using a = await database.open();
    await using b = await database.open({ replica: 'b' });
    let running = 0;
    const completed: string[] = [];
    const work = (name: string) => async () => {
      running += 1;
      expect(running).toBe(1);
      await a.append([entry({ requestId: name })]);
      completed.push(name);
      running -= 1;
      return name;
    };
    const results = [a, b, a, b, a].map((store, n) => store.exclusively('destroy', work(`w${n}`)));
    expect(await Promise.all(results)).toEqual(['w0', 'w1', 'w2', 'w3', 'w4']);
    expect(completed).toHaveLength(5);
    await expect(a.exclusively('destroy', () => Promise.reject(new RangeError('ours')))).rejects.toThrow(
      RangeError,
    );
    expect(await b.exclusively('destroy', work('last'))).toBe('last');
    expect(await a.exclusively('destroy', () => b.exclusively('else', async () => 'nested'))).toBe('nested');
  });
});
