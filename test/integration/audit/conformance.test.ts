import { describeAuditStore, HARNESS_INSTANCE, tickingClock } from '../../conformance/audit-store.ts';
import { postgres } from '../services/inject.ts';
import { createDatabase } from './database.ts';

describeAuditStore('postgres', async () => {
  const database = await createDatabase(postgres());
  const clock = tickingClock();
  return {
    open: (replica) => database.open({ instance: HARNESS_INSTANCE, replica, clock }),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
});
