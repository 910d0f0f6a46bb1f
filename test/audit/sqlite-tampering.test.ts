import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import { verify } from '../../src/audit/verify/verify.ts';
import { systemClock } from '../../src/core/clock.ts';
import { temporaryFolder } from './folder.ts';
import { entry } from './sample.ts';
import { TAMPERINGS } from './tamperings.ts';

it.each(TAMPERINGS)('reports tampering with %s', async (_, sql, expected) => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'audit.db');
  const options = { path, instance: 'test', replica: 'a', clock: systemClock };
  {
    await using store = await openSqliteAudit(options);
    await store.append(Array.from({ length: 6 }, (_, n) => entry({ attempt: n + 1 })));
  }
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
  await using store = await openSqliteAudit({ ...options, readOnly: true });
  expect(await verify(store.storedRecords(1), { until: await store.head() })).toMatchObject(expected);
});
