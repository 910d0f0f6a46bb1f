import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openSqliteAudit } from '../../../src/audit/sqlite/sqlite.ts';
import { verify } from '../../../src/audit/verify/verify.ts';
import { temporaryFolder } from '../../audit/folder.ts';
import { verifyInPython } from '../../audit/python-verifier.ts';
import { entry } from '../../audit/sample.ts';
import { originalIn, proofOf, proofOfExport, TABLES, writeExport } from '../../audit/tampering-stores.ts';
import { isLong, KINDS, type Rows, tamperings } from '../../audit/tamperings.ts';
import { postgres } from '../services/inject.ts';
import { createDatabase, type Database } from './database.ts';

/** If SECRETBRIDGE_TEST_LONG is not set, each kind of tampering occurs once or twice. */
const COUNT = isLong ? 1_000 : 2 * KINDS;

it(`reports the kind and the position of each of ${COUNT} random tamperings`, async () => {
  await using folder = await temporaryFolder();
  await using database = await createDatabase(postgres());
  await (await database.open())[Symbol.asyncDispose]();
  await using store = await database.open({ readOnly: true });
  const original = await originalIn(folder.path);
  await putRows(database, original.rows);
  expect(await verify(store.storedRecords(1), { until: await store.head() })).toMatchObject({
    kind: 'intact',
    records: 30,
  });
  for (const tampering of tamperings(original, COUNT, 4_711)) {
    await putRows(database, tampering.rows);
    expect.soft((await proofOf(store, tampering)).problem, tampering.what).toMatchObject(tampering.expected);
  }
});

it(`verifies ${COUNT} exports with the same results as the documented Python verifier`, async () => {
  await using folder = await temporaryFolder();
  const original = await originalIn(folder.path);
  const [first] = tamperings(original, 1);
  if (first === undefined) throw new Error('no tampering');
  const cases: string[] = [];
  const expected: string[] = [];
  for (const tampering of [{ ...first, rows: original.rows }, ...tamperings(original, COUNT, 815)]) {
    const part = join(folder.path, String(cases.length));
    await mkdir(part);
    const { ok } = await proofOfExport(await writeExport(part, tampering), tampering);
    cases.push(part);
    expected.push(ok ? 'ok' : 'not ok');
  }
  expect(expected[0]).toBe('ok');
  expect(await verifyInPython(folder.path, cases)).toEqual(expected);
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

it('PostgreSQL stores the same text and the same hashes as SQLite', async () => {
  // With the same clock, both stores write the same bytes for the same entries.
  await using database = await createDatabase(postgres());
  await using folder = await temporaryFolder();
  const common = { instance: 'same', replica: 'same', clock: { now: () => 1_800_000_000_000 } };
  await using one = await database.open(common);
  await using other = await openSqliteAudit({ ...common, path: `${folder.path}/audit.db` });
  const entries = [entry(), entry({ mapping: 'a\0b', note: 'Grüße 🔑 \u2028 "\\', counts: { read: 3 } })];
  for (const store of [one, other]) await store.append(entries);
  expect(await Array.fromAsync(one.storedRecords(1))).toEqual(await Array.fromAsync(other.storedRecords(1)));
});

/** Replaces the rows of the database directly. */
async function putRows(database: Database, rows: Rows): Promise<void> {
  const statements = TABLES.flatMap((table) => [
    `delete from ${table};`,
    ...rows[table].map((row) => {
      const values = Object.values(row).map((value) =>
        typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value),
      );
      return `insert into ${table} (${Object.keys(row).join()}) values (${values.join()});`;
    }),
  ]);
  await database.sql(`set search_path = secretbridge; begin; ${statements.join('')} commit`);
}
