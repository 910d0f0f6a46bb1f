import type { MovableAudit } from '../../../src/audit/move/movable-audit.ts';
import { describeCrashes } from '../../conformance/audit-crashes.ts';
import { postgres } from '../services/inject.ts';
import { createDatabase } from './database.ts';

describeCrashes(
  'postgres',
  async () => {
    const database = await createDatabase(postgres());
    return {
      address: database.url,
      open: async (replica) => (await database.open({ replica })) as MovableAudit,
      [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
    };
  },
  8,
);
