import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import { verify } from '../../src/audit/verify/verify.ts';
import { systemClock } from '../../src/core/clock.ts';
import { temporaryFolder } from './folder.ts';
import { runChild } from './run-child.ts';
import { entry, recordsOf } from './sample.ts';

const common = { instance: 'test', clock: systemClock };

describe('processes that share an audit file', () => {
  it('processes that share an audit file append to one chain without gaps if each of four processes appends 500 records', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'audit.db');
    const names = ['a', 'b', 'c', 'd'];
    await using stack = new AsyncDisposableStack();
    const children = names.map((name) => stack.use(runChild(['append', path, name, '500'])));
    expect(await Promise.all(children.map((child) => child.line()))).toEqual(names.map(() => 'done'));
    await using store = await openSqliteAudit({ ...common, path, replica: 'reader' });
    expect(await verify(store.storedRecords(1), { until: await store.head() })).toMatchObject({
      kind: 'intact',
      records: 2000,
    });
    const seen = await recordsOf(store);
    for (const name of names) {
      const own = seen.filter(({ replica }) => replica === name).map(({ requestId }) => requestId);
      expect(own).toEqual(Array.from({ length: 500 }, (_, n) => `${name}-${n}`));
    }
  }, 60_000);

  it('processes that share an audit file distinguish the intent of a running process from the intent of a killed process', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'audit.db');
    await using killed = runChild(['intend', path, 'killed']);
    await using running = runChild(['intend', path, 'running']);
    expect(await Promise.all([killed.line(), running.line()])).toEqual(['recorded', 'recorded']);
    await using store = await openSqliteAudit({ ...common, path, replica: 'next' });
    expect(await store.unresolvedIntents()).toEqual([]);

    await killed.kill('SIGKILL');
    expect(await store.unresolvedIntents()).toMatchObject([
      { phase: 'intent', replica: 'killed', requestId: 'killed' },
    ]);
    expect((await readdir(`${path}.replicas`)).sort()).toEqual(['next.lock', 'running.lock']);

    await store.append([entry({ phase: 'outcome', requestId: 'killed' })]);
    expect(await store.unresolvedIntents()).toEqual([]);
    await running.kill('SIGKILL');
    expect(await store.unresolvedIntents()).toMatchObject([{ replica: 'running' }]);
  });

  it('processes that share an audit file give up if the file stays locked too long, and continue after the release of the lock', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'audit.db');
    await using store = await openSqliteAudit({ ...common, path, replica: 'a', lockTimeoutMs: 100 });
    await using holder = runChild(['hold', path]);
    await holder.line();
    await expect(store.append([entry()])).rejects.toMatchObject({
      code: 'AUDIT_UNAVAILABLE',
      message: expect.stringContaining('another process holds its lock'),
    });
    expect(await store.list({}, { limit: 1 })).toEqual([]);
    await holder.kill('SIGKILL');
    expect(await store.append([entry()])).toMatchObject([{ sequence: 1 }]);
  });

  it('processes that share an audit file store no record of a batch if the whole batch does not fit on the disk', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'audit.db');
    await using full = runChild(['fill', path, 'full', '1000'], { limitKiB: 400 });
    const { appended, code, message } = JSON.parse(await full.line());
    expect(code).toBe('AUDIT_UNAVAILABLE');
    expect(message).toMatch(/the disk (is full|reports an I\/O error)/);
    expect(appended).toBeGreaterThan(0);
    await full.kill('SIGKILL');

    await using store = await openSqliteAudit({ ...common, path, replica: 'next' });
    const until = await store.head();
    expect(until.sequence).toBe(appended);
    expect(await verify(store.storedRecords(1), { until })).toMatchObject({
      kind: 'intact',
      records: appended,
    });
    expect(await store.append([entry()])).toMatchObject([{ sequence: appended + 1 }]);
  });
});
