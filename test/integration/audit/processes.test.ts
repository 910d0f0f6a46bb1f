import { expect, it } from 'vitest';
import { verify } from '../../../src/audit/verify/verify.ts';
import { runChild } from '../../audit/run-child.ts';
import { entry, recordsOf } from '../../audit/sample.ts';
import { postgres } from '../services/inject.ts';
import { until } from '../services/service.ts';
import { createDatabase } from './database.ts';

it('stores 500 records from each of four processes in one chain if the database was empty', async () => {
  await using database = await createDatabase(postgres());
  const names = ['a', 'b', 'c', 'd'];
  await using stack = new AsyncDisposableStack();
  const children = names.map((name) => stack.use(runChild(['append', database.url, name, '500'])));
  expect(await Promise.all(children.map((child) => child.line()))).toEqual(names.map(() => 'done'));
  await using store = await database.open({ replica: 'reader', readOnly: true });
  expect(await verify(store.storedRecords(1), { until: await store.head() })).toMatchObject({
    kind: 'intact',
    records: 2000,
  });
  const records = await recordsOf(store);
  for (const name of names) {
    const requestIds = records.filter(({ replica }) => replica === name).map(({ requestId }) => requestId);
    expect(requestIds).toEqual(Array.from({ length: 500 }, (_, n) => `${name}-${n}`));
  }
});

it('keeps each acknowledged record exactly once and in one chain after the writing processes were killed', async () => {
  await using database = await createDatabase(postgres());
  const acknowledged: string[] = [];
  for (let round = 0; round < 3; round += 1) {
    const names = [`a${round}`, `b${round}`];
    await using stack = new AsyncDisposableStack();
    const children = names.map((name) => stack.use(runChild(['endless', database.url, name])));
    await Promise.all(
      children.map(async (child) => {
        expect(await child.line()).toBe('begun');
        for (let n = 0; n < 10 + round * 7; n += 1) acknowledged.push(...(await child.line()).split(' '));
        await child.kill('SIGKILL');
      }),
    );
  }
  await using store = await database.open();
  const requestIds = (await recordsOf(store)).map(({ requestId }) => requestId);
  expect(new Set(requestIds).size).toBe(requestIds.length);
  expect(acknowledged.filter((id) => !requestIds.includes(id))).toEqual([]);
  expect(await verify(store.storedRecords(1), { until: await store.head() })).toMatchObject({
    kind: 'intact',
  });
});

it('distinguishes an intent of a running process from an intent of a killed process', async () => {
  await using database = await createDatabase(postgres());
  await using killed = runChild(['intend', database.url, 'killed']);
  await using running = runChild(['intend', database.url, 'running']);
  expect(await Promise.all([killed.line(), running.line()])).toEqual(['recorded', 'recorded']);
  await using store = await database.open({ replica: 'next', maxWriteDurationMs: 0 });
  await using patient = await database.open({ replica: 'patient' });
  expect(await store.unresolvedIntents()).toEqual([]);

  await killed.kill('SIGKILL');
  await until('The release of its lock', 5_000, async () => (await store.unresolvedIntents()).length === 1);
  expect(await store.unresolvedIntents()).toMatchObject([
    { phase: 'intent', replica: 'killed', requestId: 'killed' },
  ]);
  expect(await patient.unresolvedIntents()).toEqual([]);

  await store.append([entry({ phase: 'outcome', requestId: 'killed' })]);
  expect(await store.unresolvedIntents()).toEqual([]);
  await running.kill('SIGKILL');
  await until('The release of its lock', 5_000, async () => (await store.unresolvedIntents()).length === 1);
});

it('exclusive work can start after the holder of the exclusive lock was killed', async () => {
  await using database = await createDatabase(postgres());
  await using store = await database.open();
  await using holder = runChild(['exclusive', database.url, 'holder']);
  expect(await holder.line()).toBe('inside');
  let entered = false;
  const exclusiveWork = store.exclusively('destroy', async () => {
    entered = true;
  });
  await until('The wait for the lock', 10_000, async () => {
    const [row] = await database.sql(
      `select count(*) as n from pg_locks where locktype = 'advisory' and not granted
         and database = (select oid from pg_database where datname = current_database())`,
    );
    return row?.n === '1';
  });
  expect(entered).toBe(false);
  await holder.kill('SIGKILL');
  await exclusiveWork;
  expect(entered).toBe(true);
});

it('migrates the database once if several processes open the audit at the same time', async () => {
  for (let round = 0; round < 5; round += 1) {
    await using database = await createDatabase(postgres());
    await using stack = new AsyncDisposableStack();
    const stores = await Promise.all(
      Array.from({ length: 6 }, (_, n) => database.open({ replica: `r${n}` })),
    );
    for (const store of stores) stack.use(store);
    await Promise.all(stores.map((store) => store.append([entry()])));
    const [first] = stores;
    expect(await first?.head()).toMatchObject({ sequence: 6 });
  }
});
