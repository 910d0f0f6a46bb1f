import { expect, it } from 'vitest';
import type { MovableAudit } from '../../../src/audit/move/movable-audit.ts';
import { moveAudit } from '../../../src/audit/move/move.ts';
import { openSqliteAudit } from '../../../src/audit/sqlite/sqlite.ts';
import { verify } from '../../../src/audit/verify/verify.ts';
import { temporaryFolder } from '../../audit/folder.ts';
import { bare, entry } from '../../audit/sample.ts';
import { tickingClock } from '../../conformance/audit-store.ts';
import { postgres } from '../services/inject.ts';
import { createDatabase } from './database.ts';

it('an audit log can be moved from SQLite to PostgreSQL and back without loss', async () => {
  await using folder = await temporaryFolder();
  await using database = await createDatabase(postgres());
  const sqlite = (name: string, readOnly: boolean): Promise<MovableAudit> =>
    openSqliteAudit({
      path: `${folder.path}/${name}`,
      instance: 'test',
      replica: `${name}${readOnly}`,
      clock: tickingClock(),
      readOnly,
    });
  const server = async (readOnly: boolean): Promise<MovableAudit> =>
    (await database.open({ readOnly })) as MovableAudit;
  {
    await using first = await sqlite('first.db', false);
    const [oldest] = await first.append([entry({ secret: 'old\0', key: 'x'.repeat(9_000) }), entry()]);
    await first.append([entry({ phase: 'intent' }), entry({ note: 'Grüße 🔑 \u2028 "\\', mapping: 'a\0b' })]);
    await first.append(Array.from({ length: 1_200 }, () => entry()));
    await first.append([bare({ action: 'review', review: { sequence: 3, state: 'flagged' } })]);
    await first.prune(oldest ?? expect.fail());
  }
  await using first = await sqlite('first.db', true);
  {
    await using middle = await server(false);
    expect(await moveAudit(first, middle)).toMatchObject({ kind: 'moved', records: 1_204 });
    expect(await moveAudit(middle, await sqlite('third.db', false))).toMatchObject({ kind: 'moved' });
    expect(await middle.countWriters()).toBe(0);
    await using other = await database.open({ replica: 'other' });
    expect(await middle.countWriters()).toBe(1);
    await other.append([entry()]);
    await expect(moveAudit(middle, await sqlite('fourth.db', false))).resolves.toMatchObject({
      kind: 'refused',
      reason: expect.stringContaining('a process writes to'),
    });
  }
  await using last = await sqlite('last.db', false);
  await using middle = await server(true);
  expect(await moveAudit(middle, last)).toMatchObject({ kind: 'moved', records: 1_205 });
  const records = (await Array.fromAsync(last.storedRecords(1))).slice(0, -1);
  expect(records).toEqual(await Array.fromAsync(first.storedRecords(1)));
  expect(await Array.fromAsync(last.retainedRecords())).toEqual(
    await Array.fromAsync(first.retainedRecords()),
  );
  expect((await last.targets()).map(({ secret }) => secret).sort()).toEqual(['old\u2400', 'payments-db']);
  expect(await last.latest({ secret: 'old\0' }, ['update'])).toMatchObject({ sequence: 1 });
  expect(await last.reviews([3])).toEqual(await first.reviews([3]));
  const proof = { after: await last.base(), until: await last.head() };
  expect(await verify(last.storedRecords(1), proof)).toMatchObject({ kind: 'intact', records: 1_205 });
});
