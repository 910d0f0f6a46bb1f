import { describe, expect, it } from 'vitest';
import { createExclusiveLocks } from '../../../src/audit/postgres/exclusive-locks.ts';
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

describe('a connection that is cut at the commit', () => {
  it.each<CommitFault>(['never sent', 'not answered'])('%s: the records are there once', async (fault) => {
    await using database = await createDatabase(postgres());
    await using proxy = await startTcpProxy(database.url);
    await using store = await openAt(proxy.url);
    await store.append([entry({ requestId: 'before' })]);
    const came = proxy.onCommit(fault);
    const records = await store.append([entry({ requestId: 'x' }), entry({ requestId: 'y' })]);
    await came;
    expect(records.map(({ sequence }) => sequence)).toEqual([2, 3]);
    await store.append([entry({ requestId: 'after' })]);
    expect(await requests(store)).toEqual(['before', 'x', 'y', 'after']);
    const [, , last] = await recordsOf(store);
    expect(last).toEqual(records[1]);
  });

  it('waits for a commit that the server gets late, in place of storing twice', async () => {
    await using database = await createDatabase(postgres());
    await using proxy = await startTcpProxy(database.url);
    await using store = await openAt(proxy.url);
    await using other = await database.open({ replica: 'b' });
    await store.append([entry({ requestId: 'before' })]);
    const came = proxy.onCommit('sent late');
    const appended = store.append([entry({ requestId: 'x' })]);
    await came;
    const others = other.append([entry({ requestId: 'other' })]);
    // Both wait in line for the transaction of the connection that was cut.
    await until('Both wait', 10_000, async () => {
      const [found] = await database.sql(
        `select count(*) as n from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
      );
      return found?.n === '2';
    });
    proxy.release();
    expect(await appended).toMatchObject([{ requestId: 'x', sequence: 2 }]);
    await others;
    expect(await requests(store)).toEqual(['before', 'x', 'other']);
  });

  it('that never comes: the server gives the transaction up, and everybody goes on', {
    tags: ['long'],
  }, async () => {
    await using database = await createDatabase(postgres());
    await using proxy = await startTcpProxy(database.url);
    await using store = await openAt(proxy.url);
    await using other = await database.open({ replica: 'b' });
    await store.append([entry({ requestId: 'before' })]);
    const came = proxy.onCommit('sent late');
    const appended = store.append([entry({ requestId: 'x' })]);
    await came;
    await Promise.all([appended, other.append([entry({ requestId: 'other' })])]);
    proxy.release();
    await store.append([entry({ requestId: 'after' })]);
    expect((await requests(store)).toSorted()).toEqual(['after', 'before', 'other', 'x']);
  });

  it('of which nothing can be learnt: the failure says that they may be there', async () => {
    await using database = await createDatabase(postgres());
    await using proxy = await startTcpProxy(database.url);
    await using store = await openAt(proxy.url);
    await store.append([entry({ requestId: 'before' })]);
    const came = proxy.onCommit('not answered').then(() => proxy.refuse());
    await expect(store.append([entry({ requestId: 'x' })])).rejects.toMatchObject({
      ...UNAVAILABLE,
      message: expect.stringContaining('the records may be stored'),
    });
    await came;
    proxy.comeBack();
    await store.append([entry({ requestId: 'after' })]);
    expect(await requests(store)).toEqual(['before', 'x', 'after']);
  });

  it('over and over, with others that write: one chain, each record once', { tags: ['long'] }, async () => {
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
    const found = await requests(store);
    expect(found).toHaveLength(60);
    expect(new Set(found).size).toBe(60);
  });
});

describe('a server that goes away', () => {
  it('fails what is asked meanwhile, and goes on by itself', async () => {
    await using database = await createDatabase(postgres());
    await using proxy = await startTcpProxy(database.url);
    await using store = await openAt(proxy.url);
    await store.append([entry({ requestId: 'before' })]);
    proxy.goAway();
    expect(
      await elapsed(() => expect(store.append([entry()])).rejects.toMatchObject(UNAVAILABLE)),
    ).toBeLessThan(10_000);
    await expect(store.list({}, { limit: 1 })).rejects.toMatchObject(UNAVAILABLE);
    proxy.comeBack();
    await store.append([entry({ requestId: 'after' })]);
    expect(await store.list({}, { limit: 1 })).toMatchObject([{ requestId: 'after' }]);
    expect(await requests(store)).toEqual(['before', 'after']);
  });

  it('is waited for when it only restarts', async () => {
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

  it('is noticed when it stands still, by those who wait in line too', { tags: ['long'] }, async () => {
    await using database = await createDatabase(postgres());
    await using proxy = await startTcpProxy(database.url);
    await using store = await openAt(proxy.url);
    await store.append([entry({ requestId: 'before' })]);
    await store.list({}, { limit: 1 });
    proxy.freeze();
    const first = store.append([entry()]);
    const took = await Promise.all([
      elapsed(() => expect(first).rejects.toMatchObject(UNAVAILABLE)),
      elapsed(() => expect(store.append([entry()])).rejects.toMatchObject(UNAVAILABLE)),
      elapsed(() => expect(store.list({}, { limit: 1 })).rejects.toMatchObject(UNAVAILABLE)),
      elapsed(() => expect(store.exclusively('x', async () => {})).rejects.toMatchObject(UNAVAILABLE)),
      elapsed(() => expect(openAt(proxy.url)).rejects.toMatchObject(UNAVAILABLE)),
    ]);
    for (const ms of took) expect(ms).toBeLessThan(16_000);
    proxy.comeBack();
    await store.append([entry({ requestId: 'after' })]);
    expect(await requests(store)).toEqual(['before', 'after']);
  });

  it('and comes back with older data: nothing is appended to them', async () => {
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

  it('is renewed at once on a new connection, with nothing to write', async () => {
    await using database = await createDatabase(postgres());
    await using proxy = await startTcpProxy(database.url);
    await using store = await openAt(proxy.url, { replica: 'alive' });
    await using other = await database.open({ replica: 'b', maxWriteDurationMs: 0 });
    await store.append([intent]);
    expect(await other.unresolvedIntents()).toEqual([]);
    proxy.cut();
    await until('The lock is held again', 5_000, async () => (await other.unresolvedIntents()).length === 0);
  });

  it('is not needed for a while: an intent that is younger than a write can be counts as under way', async () => {
    await using database = await createDatabase(postgres());
    await using proxy = await startTcpProxy(database.url);
    await using store = await openAt(proxy.url, { replica: 'cut off' });
    await store.append([intent]);
    proxy.goAway();
    await using other = await database.open({ replica: 'b' });
    await using impatient = await database.open({ replica: 'c', maxWriteDurationMs: 0 });
    await until('The lock is gone', 5_000, async () => (await impatient.unresolvedIntents()).length === 1);
    expect(await other.unresolvedIntents()).toEqual([]);

    // Whoever resolves it, and the replica itself when it is back: two outcomes do no harm.
    await impatient.append([entry({ phase: 'outcome', outcome: 'failed', code: 'INTERRUPTED' })]);
    proxy.comeBack();
    await store.append([entry({ phase: 'outcome' })]);
    expect(await requests(other)).toHaveLength(3);
    expect(await impatient.unresolvedIntents()).toEqual([]);
  });
});

it('questions that take long hold up nobody who asks whether it answers', { tags: ['long'] }, async () => {
  await using database = await createDatabase(postgres());
  await using store = await database.open();
  await store.append([entry()]);
  const records = "'secretbridge.records'::regclass";
  const locks = async (granted: string, mode: string) => {
    const found = `select from pg_locks where relation = ${records} and ${granted} and mode = '${mode}'`;
    return (await database.sql(found)).length;
  };
  const held = database.sql(
    'begin; lock table secretbridge.records in access exclusive mode; select pg_sleep(6); commit',
  );
  await until('The lock is held', 10_000, async () => (await locks('granted', 'AccessExclusiveLock')) === 1);
  const questions = Promise.allSettled(Array.from({ length: 6 }, () => store.list({}, { limit: 1 })));
  await until('They wait', 10_000, async () => (await locks('not granted', 'AccessShareLock')) === 3);
  expect(await elapsed(() => store.head())).toBeLessThan(1_500);
  await Promise.all([held, questions]);
});

describe('work that only one may do', () => {
  it('is refused a record at once when the store is closed meanwhile', async () => {
    await using database = await createDatabase(postgres());
    const store = await database.open();
    await store.exclusively('destroy', async () => {
      // It asks first whether its lock is held.
      const refused = elapsed(() => expect(store.append([entry()])).rejects.toMatchObject(UNAVAILABLE));
      await store[Symbol.asyncDispose]();
      expect(await refused).toBeLessThan(3_000);
    });
  });

  it('notices that its lock was lost: it can intend nothing more, and still say what happened', async () => {
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

  it('is given up in time, in one process and over two, and says that nothing is wrong with the audit', {
    tags: ['long'],
  }, async () => {
    await using database = await createDatabase(postgres());
    await using store = await database.open();
    const url = async () => SecretValue.fromText(database.url);
    const connector = { url, tls: undefined, name: 'b', readOnly: true };
    const exclusive = createExclusiveLocks(() => openSession(connector), 500);
    const busy = { code: 'BUSY_ELSEWHERE', heals: true };
    await store.exclusively('destroy', async () => {
      await expect(exclusive.acquire('destroy')).rejects.toMatchObject(busy);
    });
    {
      await using _ = await exclusive.acquire('destroy');
      await expect(exclusive.acquire('destroy')).rejects.toMatchObject(busy);
    }
    expect(await store.exclusively('destroy', async () => 'done')).toBe('done');
  });

  it('waits for its turn, in one process and over two', async () => {
    await using database = await createDatabase(postgres());
    await using a = await database.open();
    await using b = await database.open({ replica: 'b' });
    let inside = 0;
    const turns: string[] = [];
    const work = (name: string) => async () => {
      inside += 1;
      expect(inside).toBe(1);
      await a.append([entry({ requestId: name })]);
      turns.push(name);
      inside -= 1;
      return name;
    };
    const all = [a, b, a, b, a].map((store, n) => store.exclusively('destroy', work(`w${n}`)));
    expect(await Promise.all(all)).toEqual(['w0', 'w1', 'w2', 'w3', 'w4']);
    expect(turns).toHaveLength(5);
    await expect(a.exclusively('destroy', () => Promise.reject(new RangeError('ours')))).rejects.toThrow(
      RangeError,
    );
    expect(await b.exclusively('destroy', work('last'))).toBe('last');
    expect(await a.exclusively('destroy', () => b.exclusively('else', async () => 'nested'))).toBe('nested');
  });
});
