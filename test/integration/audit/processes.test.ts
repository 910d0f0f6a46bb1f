import { expect, it } from 'vitest';
import { verify } from '../../../src/audit/verify/verify.ts';
import { runChild } from '../../audit/run-child.ts';
import { entry, recordsOf } from '../../audit/sample.ts';
import { postgres } from '../services/inject.ts';
import { until } from '../services/service.ts';
import { createDatabase } from './database.ts';

it('four processes start on an empty database, and append 500 records each into one chain', async () => {
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
  const seen = await recordsOf(store);
  for (const name of names) {
    const own = seen.filter(({ replica }) => replica === name).map(({ requestId }) => requestId);
    expect(own).toEqual(Array.from({ length: 500 }, (_, n) => `${name}-${n}`));
  }
});

it('what processes were promised before they were killed is there, once, in one chain', async () => {
  await using database = await createDatabase(postgres());
  const promised: string[] = [];
  for (let round = 0; round < 3; round += 1) {
    const names = [`a${round}`, `b${round}`];
    await using stack = new AsyncDisposableStack();
    const children = names.map((name) => stack.use(runChild(['endless', database.url, name])));
    await Promise.all(
      children.map(async (child) => {
        expect(await child.line()).toBe('begun');
        for (let n = 0; n < 10 + round * 7; n += 1) promised.push(...(await child.line()).split(' '));
        await child.kill('SIGKILL');
      }),
    );
  }
  await using store = await database.open();
  const found = (await recordsOf(store)).map(({ requestId }) => requestId);
  expect(new Set(found).size).toBe(found.length);
  expect(promised.filter((id) => !found.includes(id))).toEqual([]);
  expect(await verify(store.storedRecords(1), { until: await store.head() })).toMatchObject({
    kind: 'intact',
  });
});

it('distinguish an intent of a running process from one of a killed process', async () => {
  await using database = await createDatabase(postgres());
  await using killed = runChild(['intend', database.url, 'killed']);
  await using running = runChild(['intend', database.url, 'running']);
  expect(await Promise.all([killed.line(), running.line()])).toEqual(['recorded', 'recorded']);
  await using store = await database.open({ replica: 'next', maxWriteDurationMs: 0 });
  await using patient = await database.open({ replica: 'patient' });
  expect(await store.unresolvedIntents()).toEqual([]);

  await killed.kill('SIGKILL');
  await until('Its lock is gone', 5_000, async () => (await store.unresolvedIntents()).length === 1);
  expect(await store.unresolvedIntents()).toMatchObject([
    { phase: 'intent', replica: 'killed', requestId: 'killed' },
  ]);
  expect(await patient.unresolvedIntents()).toEqual([]);

  await store.append([entry({ phase: 'outcome', requestId: 'killed' })]);
  expect(await store.unresolvedIntents()).toEqual([]);
  await running.kill('SIGKILL');
  await until('Its lock is gone', 5_000, async () => (await store.unresolvedIntents()).length === 1);
});

it('gives a turn on when the process that had it was killed', async () => {
  await using database = await createDatabase(postgres());
  await using store = await database.open();
  await using holder = runChild(['exclusive', database.url, 'holder']);
  expect(await holder.line()).toBe('inside');
  let entered = false;
  const turn = store.exclusively('destroy', async () => {
    entered = true;
  });
  await until('It waits', 10_000, async () => {
    const [found] = await database.sql(
      `select count(*) as n from pg_locks where locktype = 'advisory' and not granted
         and database = (select oid from pg_database where datname = current_database())`,
    );
    return found?.n === '1';
  });
  expect(entered).toBe(false);
  await holder.kill('SIGKILL');
  await turn;
  expect(entered).toBe(true);
});

it('starts together with others, time and again: one of them migrates', async () => {
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
