import { join } from 'node:path';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import { describeAuditConsole } from '../conformance/audit-console.ts';
import {
  type AuditHarness,
  describeAuditStore,
  HARNESS_INSTANCE,
  tickingClock,
} from '../conformance/audit-store.ts';
import { temporaryFolder } from './folder.ts';

const open = async (): Promise<AuditHarness> => {
  const folder = await temporaryFolder();
  const clock = tickingClock();
  const path = join(folder.path, 'state', 'audit.db');
  return {
    open: (replica) => openSqliteAudit({ path, instance: HARNESS_INSTANCE, replica, clock }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
};

describeAuditStore('sqlite', open);
describeAuditConsole('sqlite', open);
