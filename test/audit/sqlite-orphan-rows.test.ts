import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import { systemClock } from '../../src/core/clock.ts';
import { temporaryFolder } from './folder.ts';
import { describeOrphanRows } from './orphan-rows.ts';

describeOrphanRows('SQLite', async () => {
  const folder = await temporaryFolder();
  const path = join(folder.path, 'audit.db');
  return {
    open: (replica) => openSqliteAudit({ path, instance: 'test', replica, clock: systemClock }),
    async sql(text) {
      const db = new DatabaseSync(path);
      db.exec(text);
      db.close();
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
});
