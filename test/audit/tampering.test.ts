import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import { systemClock } from '../../src/core/clock.ts';
import { temporaryFolder } from './folder.ts';
import { originalIn, proofOf, proofOfExport, putRows, writeExport } from './tampering-stores.ts';
import { isLong, KINDS, tamperings } from './tamperings.ts';

/** Enough cases to apply each kind of tampering at several positions. */
const COUNT = isLong ? 1_000 : 5 * KINDS;

const openReader = (path: string) =>
  openSqliteAudit({ path, instance: 'test', replica: 'v', clock: systemClock, readOnly: true });

it('verification accepts an untouched store and its checkpoints', async () => {
  await using folder = await temporaryFolder();
  const original = await originalIn(folder.path);
  const [sample] = tamperings(original, 1);
  if (sample === undefined) throw new Error('no tampering');
  await using store = await openReader(join(folder.path, 'original.db'));
  expect(await proofOf(store, sample)).toMatchObject({
    ok: true,
    records: 30,
    checkpoints: 3,
    sealed: { sequence: 28 },
  });
});

it(`verification reports the kind and position of ${COUNT} random tamperings, in a SQLite store and in an export`, {
  timeout: 180_000,
}, async () => {
  await using folder = await temporaryFolder();
  const original = await originalIn(folder.path);
  const path = join(folder.path, 'original.db');
  for (const tampering of tamperings(original, COUNT)) {
    const { what, expected, columnsOnly } = tampering;
    putRows(path, tampering.rows);
    await using store = await openReader(path);
    expect.soft((await proofOf(store, tampering)).problem, what).toMatchObject(expected);
    if (columnsOnly) continue;
    const { problem } = await proofOfExport(await writeExport(folder.path, tampering), tampering);
    expect.soft(problem, `${what}, in an export`).toMatchObject(expected);
  }
});
