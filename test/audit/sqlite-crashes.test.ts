import { join } from 'node:path';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import { systemClock } from '../../src/core/clock.ts';
import { describeCrashes } from '../conformance/audit-crashes.ts';
import { temporaryFolder } from './folder.ts';

describeCrashes(
  'sqlite',
  async () => {
    const folder = await temporaryFolder();
    const place = join(folder.path, 'audit.db');
    return {
      address: place,
      open: (replica) => openSqliteAudit({ path: place, instance: 'test', replica, clock: systemClock }),
      [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
    };
  },
  5,
);
