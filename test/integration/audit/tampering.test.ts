import { expect, it } from 'vitest';
import { verify } from '../../../src/audit/verify/verify.ts';
import { entry } from '../../audit/sample.ts';
import { TAMPERINGS } from '../../audit/tamperings.ts';
import { postgres } from '../services/inject.ts';
import { createDatabase } from './database.ts';

it.each(TAMPERINGS)('reports tampering with %s', async (_, sql, expected) => {
  await using database = await createDatabase(postgres());
  {
    await using store = await database.open();
    await store.append(Array.from({ length: 6 }, (_, n) => entry({ attempt: n + 1 })));
  }
  await database.sql(`set search_path = secretbridge; ${sql}`);
  await using store = await database.open({ readOnly: true });
  expect(await verify(store.storedRecords(1), { until: await store.head() })).toMatchObject(expected);
});

it.each([
  [
    'the head moved back',
    `update head set sequence = 1, hash = (select hash from records where sequence = 1)`,
  ],
  ['the head is missing', 'delete from head'],
])('appends nothing when %s', async (_, sql) => {
  await using database = await createDatabase(postgres());
  {
    await using store = await database.open();
    await store.append([entry(), entry()]);
  }
  await database.sql(`set search_path = secretbridge; ${sql}`);
  await using store = await database.open({ replica: 'next' });
  await expect(store.append([entry()])).rejects.toMatchObject({
    code: 'AUDIT_UNAVAILABLE',
    message: expect.stringContaining('changed from outside'),
  });
});

it('stores the same text and the same hashes as SQLite', async () => {
  // Under the same clock, both stores write the same bytes for the same entries.
  const { openSqliteAudit } = await import('../../../src/audit/sqlite/sqlite.ts');
  const { temporaryFolder } = await import('../../audit/folder.ts');
  await using database = await createDatabase(postgres());
  await using folder = await temporaryFolder();
  const common = { instance: 'same', replica: 'same', clock: { now: () => 1_800_000_000_000 } };
  await using one = await database.open(common);
  await using other = await openSqliteAudit({ ...common, path: `${folder.path}/audit.db` });
  const entries = [entry(), entry({ mapping: 'a\0b', note: 'Grüße 🔑 \u2028 "\\', counts: { read: 3 } })];
  for (const store of [one, other]) await store.append(entries);
  expect(await Array.fromAsync(one.storedRecords(1))).toEqual(await Array.fromAsync(other.storedRecords(1)));
});
