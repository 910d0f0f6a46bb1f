import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import { systemClock } from '../../src/core/clock.ts';
import { temporaryFolder } from './folder.ts';
import { tamperings } from './tampering-run.ts';
import { originalIn, proofOf, proofOfExport, putRows, writeExport } from './tampering-stores.ts';

it('an untouched store verifies with its checkpoints', async () => {
  await using folder = await temporaryFolder();
  const original = await originalIn(folder.path);
  const [sample] = tamperings(original, 1);
  if (sample === undefined) throw new Error('no tampering');
  const path = join(folder.path, 'original.db');
  await using store = await openSqliteAudit({
    path,
    instance: 'test',
    replica: 'v',
    clock: systemClock,
    readOnly: true,
  });
  expect(await proofOf(store, sample)).toMatchObject({
    ok: true,
    records: 30,
    checkpoints: 3,
    sealed: { sequence: 28 },
  });
});

it('every kind of tampering is detected, classified and located', async () => {
  await using folder = await temporaryFolder();
  const original = await originalIn(folder.path);
  const path = join(folder.path, 'original.db');
  for (const tampering of tamperings(original, 140)) {
    putRows(path, tampering.rows);
    await using store = await openSqliteAudit({
      path,
      instance: 'test',
      replica: 'v',
      clock: systemClock,
      readOnly: true,
    });
    const proof = await proofOf(store, tampering);
    expect
      .soft({ what: tampering.what, ...proof.problem })
      .toMatchObject({ what: tampering.what, ...tampering.expected });
    if (tampering.columnsOnly) continue;
    const parts = join(folder.path, 'export');
    await mkdir(parts, { recursive: true });
    const { problem } = await proofOfExport(await writeExport(parts, tampering), tampering);
    expect
      .soft({ what: `${tampering.what}, in an export`, ...problem })
      .toMatchObject({ what: `${tampering.what}, in an export`, ...tampering.expected });
  }
});
