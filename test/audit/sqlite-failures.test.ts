import fs from 'node:fs';
import { mkdir, open, rmdir } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it, vi } from 'vitest';
import type { MovableAudit } from '../../src/audit/move/movable-audit.ts';
import { withLock } from '../../src/audit/sqlite/lock.ts';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import { verify } from '../../src/audit/verify/verify.ts';
import { describeClocks } from '../conformance/audit-clocks.ts';
import { temporaryFolder } from './folder.ts';
import { entry } from './sample.ts';

/** Opens a store and exposes its write connection, through which tests inject failures. */
async function openWithConnection() {
  const folder = await temporaryFolder();
  const path = join(folder.path, 'audit.db');
  const spy = vi.spyOn(DatabaseSync.prototype, 'exec');
  const options = { path, instance: 'test', replica: 'a', clock: { now: () => 1_800_000_000_000 } };
  const store = await openSqliteAudit({ ...options, lockTimeoutMs: 60 });
  await store.append(
    Array.from({ length: 40 }, (_, n) => entry({ secret: `s${n}`, note: 'x'.repeat(2_000) })),
  );
  const begun = spy.mock.calls.findIndex(([sql]) => sql === 'begin immediate');
  const connection = spy.mock.contexts[begun] as DatabaseSync;
  spy.mockRestore();
  return {
    path,
    store,
    pragma: (name: string, value: number) => connection.exec(`pragma ${name} = ${value}`),
    pages: () => Number(Object.values(connection.prepare('pragma page_count').get() ?? {})[0]),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function expectWorking(store: MovableAudit, records: number): Promise<void> {
  await store.append([entry()]);
  const after = await store.base();
  expect(await verify(store.storedRecords(1), { after, until: await store.head() })).toMatchObject({
    kind: 'intact',
    records: records + 1,
  });
}

function failing(detail: string) {
  return { code: 'AUDIT_UNAVAILABLE', message: expect.stringContaining(detail) };
}

const large = Array.from({ length: 50 }, () => entry({ note: 'x'.repeat(2_000) }));

/** Replaces the sync of this thread, until it is disposed. */
function spySync() {
  const now = vi.spyOn(fs, 'fdatasyncSync');
  syncBuiltinESMExports();
  return {
    now,
    [Symbol.dispose]() {
      now.mockRestore();
      syncBuiltinESMExports();
    },
  };
}

describe('audit file with a failure', () => {
  it('an audit file rejects appending and pruning while the disk is full, and recovers without a restart', async () => {
    await using database = await openWithConnection();
    database.pragma('max_page_count', database.pages());
    await expect(database.store.append(large)).rejects.toMatchObject(failing('the disk is full'));
    const until = (await database.store.get(30)) ?? expect.fail();
    // Pruning also needs disk space, because it copies retained records.
    await expect(database.store.prune(until)).rejects.toMatchObject(failing('the disk is full'));
    expect(await database.store.base()).toMatchObject({ sequence: 0 });
    expect(await database.store.head()).toMatchObject({ sequence: 40 });
    database.pragma('max_page_count', 1_000_000);
    await database.store.prune(until);
    await expectWorking(database.store, 10);
  });

  it('an audit file rejects writes while it is read-only, and recovers without a restart', async () => {
    await using database = await openWithConnection();
    database.pragma('query_only', 1);
    await expect(database.store.append([entry()])).rejects.toMatchObject(failing('read-only'));
    await expect(database.store.checkWritable()).rejects.toMatchObject(failing('read-only'));
    await expect(database.store.prune(await database.store.head())).rejects.toMatchObject(
      failing('read-only'),
    );
    database.pragma('query_only', 0);
    await expectWorking(database.store, 40);
  });

  it('an audit file rejects an append whose sync to the disk fails, and all later appends until a restart', async () => {
    await using database = await openWithConnection();
    using sync = spySync();
    await database.store.append([entry()]);
    expect(sync.now).toHaveBeenCalledOnce();
    sync.now.mockImplementationOnce(() => {
      throw Object.assign(new Error('away'), { code: 'EIO' });
    });
    await expect(database.store.append([entry()])).rejects.toMatchObject(
      failing('the disk reports an I/O error'),
    );
    await expect(database.store.append([entry()])).rejects.toMatchObject(failing('records may be lost'));
    await expect(database.store.checkWritable()).rejects.toMatchObject(failing('records may be lost'));
  });

  it('an audit file on a slow disk is synced in another thread, and in this thread when the disk is fast again', async () => {
    await using database = await openWithConnection();
    await using probe = await open(database.path, 'r');
    const inThread = vi.spyOn(Object.getPrototypeOf(probe), 'datasync');
    using sync = spySync();
    sync.now.mockImplementationOnce(() => vi.advanceTimersByTime(200));
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      for (let n = 0; n < 3; n += 1) await database.store.append([entry()]);
      expect([sync.now, inThread].map(({ mock }) => mock.calls.length)).toEqual([1, 2]);
      for (let n = 0; n < 50; n += 1) await database.store.append([entry()]);
      const inThisThread = sync.now.mock.calls.length;
      expect(inThisThread).toBeGreaterThan(1);
    } finally {
      vi.useRealTimers();
      inThread.mockRestore();
    }
  });

  it('an audit file rejects work that needs a lock while the lock file cannot be created, and recovers without a restart', async () => {
    await using database = await openWithConnection();
    const lock = `${database.path}.restart.lock`;
    await mkdir(lock);
    const work = () => database.store.exclusively('restart', async () => 'done');
    await expect(work()).rejects.toMatchObject(failing('cannot be opened'));
    await rmdir(lock);
    expect(await work()).toBe('done');
    const failed = database.store.exclusively('restart', async () =>
      Promise.reject(new TypeError('of the work')),
    );
    await expect(failed).rejects.toThrow(TypeError);
  });

  it('an audit file rejects work that needs a lock while another caller holds the lock, and recovers without a restart', async () => {
    await using database = await openWithConnection();
    const lock = `${database.path}.destroy.lock`;
    const [held, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const first = database.store.exclusively('destroy', async () => {
      held.resolve();
      await ended.promise;
    });
    await held.promise;
    await expect(withLock(lock, 0, async () => 'done')).rejects.toMatchObject({
      code: 'BUSY_ELSEWHERE',
      isTransient: true,
    });
    await expectWorking(database.store, 40);
    ended.resolve();
    await first;
    expect(await withLock(lock, 0, async () => 'done')).toBe('done');
  });

  it('an audit file rejects writes while another process has locked it, and recovers without a restart', async () => {
    await using database = await openWithConnection();
    const other = new DatabaseSync(database.path);
    other.exec('begin immediate');
    await expect(database.store.append([entry()])).rejects.toMatchObject(
      failing('another process holds its lock'),
    );
    await expect(database.store.prune(await database.store.head())).rejects.toMatchObject(
      failing('holds its lock'),
    );
    expect(await database.store.list({}, { limit: 1 })).toMatchObject([{ sequence: 40 }]);
    other.exec('rollback');
    other.close();
    await expectWorking(database.store, 40);
  });
});

it('closing an audit file rejects the callers that wait for its lock', async () => {
  await using database = await openWithConnection();
  const other = new DatabaseSync(database.path);
  other.exec('begin immediate');
  const refused = expect(database.store.checkWritable()).rejects.toMatchObject(failing('it is closed'));
  await database.store[Symbol.asyncDispose]();
  await refused;
  other.close();
});

describeClocks('sqlite', async (clock) => {
  const folder = await temporaryFolder();
  const path = join(folder.path, 'audit.db');
  return {
    store: await openSqliteAudit({ path, instance: 'test', replica: 'a', clock }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
});
