import { describeAuditConsole } from '../conformance/audit-console.ts';
import {
  type AuditHarness,
  describeAuditStore,
  HARNESS_INSTANCE,
  tickingClock,
} from '../conformance/audit-store.ts';
import { createMemoryAudit, type MemoryAudit } from './memory-audit.ts';

const open = async (): Promise<AuditHarness> => {
  const clock = tickingClock();
  let log: MemoryAudit | undefined;
  return {
    async open(replica) {
      log = log?.another(replica) ?? createMemoryAudit({ instance: HARNESS_INSTANCE, replica, clock });
      return log;
    },
    async [Symbol.asyncDispose]() {},
  };
};

describeAuditStore('memory', open);
describeAuditConsole('memory', open);
