import { join } from 'node:path';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import { describeAuditStore, HARNESS_INSTANCE, tickingClock } from '../conformance/audit-store.ts';
import { temporaryFolder } from './folder.ts';

describeAuditStore('sqlite', async () => {
  const folder = await temporaryFolder();
  const clock = tickingClock();
  const path = join(folder.path, 'state', 'audit.db');
  return {
    open: (replica) => openSqliteAudit({ path, instance: HARNESS_INSTANCE, replica, clock }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
});
