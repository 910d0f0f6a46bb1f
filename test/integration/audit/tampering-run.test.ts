import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openSqliteAudit } from '../../../src/audit/sqlite/sqlite.ts';
import type { AuditStore } from '../../../src/audit/store.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { temporaryFolder } from '../../audit/folder.ts';
import { verifyInPython } from '../../audit/python-verifier.ts';
import { LENGTH, type Rows, type Tampering, tamperings } from '../../audit/tampering-run.ts';
import {
  originalIn,
  proofOf,
  proofOfExport,
  putRows,
  TABLES,
  writeExport,
} from '../../audit/tampering-stores.ts';
import { postgres } from '../services/inject.ts';
import { createDatabase, type Database } from './database.ts';

const COUNT = 1_000;

/** Writes each tampering into the tables of the store and verifies it. Prints the detected ones by kind. */
async function checkTamperings(
  name: string,
  cases: Iterable<Tampering>,
  { put, open }: { put: (rows: Rows) => Promise<void>; open: () => Promise<AuditStore> },
): Promise<void> {
  const counts = new Map<string, { tried: number; found: number; kind: number; place: number }>();
  const mismatches: object[] = [];
  for (const tampering of cases) {
    const { what, expected, rows } = tampering;
    await put(rows);
    await using store = await open();
    const { ok, problem } = await proofOf(store, tampering);
    const count = counts.get(what) ?? { tried: 0, found: 0, kind: 0, place: 0 };
    counts.set(what, count);
    count.tried += 1;
    if (!ok) count.found += 1;
    if (problem?.kind === expected.kind) count.kind += 1;
    if (problem?.sequence === expected.sequence) count.place += 1;
    if (problem?.kind !== expected.kind || problem.sequence !== expected.sequence)
      mismatches.push({ what, expected, problem });
  }
  const total = [...counts.values()].reduce((sum, { tried }) => sum + tried, 0);
  console.log(`${name}: ${total} tamperings of a log of ${LENGTH} records`);
  console.table(Object.fromEntries(counts));
  expect(mismatches).toEqual([]);
  expect(total).toBe(COUNT);
}

it('detects 1,000 random tamperings of a SQLite store with their kind and position', async () => {
  await using folder = await temporaryFolder();
  const original = await originalIn(folder.path);
  const path = join(folder.path, 'original.db');
  await checkTamperings('SQLite', tamperings(original, COUNT), {
    put: async (rows) => putRows(path, rows),
    open: () => openSqliteAudit({ path, instance: 'test', replica: 'v', clock: systemClock, readOnly: true }),
  });
}, 180_000);

it('detects 1,000 random tamperings of a PostgreSQL store with their kind and position', async () => {
  await using folder = await temporaryFolder();
  await using database = await createDatabase(postgres());
  await (await database.open())[Symbol.asyncDispose]();
  await using store = await database.open({ readOnly: true });
  const sharedStore = { ...store, [Symbol.asyncDispose]: async () => undefined };
  await checkTamperings('PostgreSQL', tamperings(await originalIn(folder.path), COUNT, 4_711), {
    put: (rows) => putIntoPostgres(database, rows),
    open: async () => sharedStore,
  });
}, 300_000);

it('agrees with the documented Python verifier on 1,000 exports', async () => {
  await using folder = await temporaryFolder();
  const original = await originalIn(folder.path);
  const untouched = [...tamperings(original, 1)].map((tampering) => ({ ...tampering, rows: original.rows }));
  const cases: string[] = [];
  const expected: string[] = [];
  for (const tampering of [...untouched, ...tamperings(original, COUNT, 815)]) {
    const part = join(folder.path, String(cases.length));
    await mkdir(part);
    const { ok } = await proofOfExport(await writeExport(part, tampering), tampering);
    cases.push(part);
    expected.push(ok ? 'ok' : 'not ok');
  }
  const verdicts = await verifyInPython(folder.path, cases);
  const differences = verdicts.flatMap((verdict, index) =>
    verdict === expected[index] ? [] : [{ index, said: verdict }],
  );
  const intactCount = expected.filter((verdict) => verdict === 'ok').length;
  console.log(
    `Python: ${verdicts.length} exports, ${intactCount} ok for both, ${differences.length} judged differently`,
  );
  expect(differences).toEqual([]);
  expect(verdicts).toHaveLength(COUNT + 1);
  expect(verdicts[0]).toBe('ok');
}, 300_000);

async function putIntoPostgres(database: Database, rows: Rows): Promise<void> {
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
