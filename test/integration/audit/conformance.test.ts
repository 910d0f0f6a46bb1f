import { describeAuditConsole } from '../../conformance/audit-console.ts';
import {
  type AuditHarness,
  describeAuditStore,
  HARNESS_INSTANCE,
  tickingClock,
} from '../../conformance/audit-store.ts';
import { postgres } from '../services/inject.ts';
import { createDatabase } from './database.ts';

const open = async (): Promise<AuditHarness> => {
  const database = await createDatabase(postgres());
  const clock = tickingClock();
  return {
    open: (replica) => database.open({ instance: HARNESS_INSTANCE, replica, clock }),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
};

describeAuditStore('postgres', open);
describeAuditConsole('postgres', open);
