import { randomUUID } from 'node:crypto';
import { toAppError } from '../../core/errors.ts';
import type { AuditHealth } from '../audit-health.ts';
import type { ServiceParts } from '../service-parts.ts';
import type { SweepResult } from './sweep.ts';

/** Adds up sweep results until they are recorded in the audit. */
export interface SweepRecord {
  add(result: SweepResult): void;
  /** Writes one audit record for all results. After an error, the next record includes these results too. */
  flush(): Promise<void>;
}

export function createSweepRecord({
  openContext,
  auditHealth,
}: Pick<ServiceParts['steps'], 'openContext'> & {
  readonly auditHealth: Pick<AuditHealth, 'writeFailed' | 'writeSucceeded'>;
}): SweepRecord {
  const none = { sweeps: 0, keys: 0, due: 0, failed: 0 };
  const counts = { ...none };
  const addAll = (more: typeof none): void => {
    for (const name of Object.keys(more) as (keyof typeof none)[]) counts[name] += more[name];
  };
  return {
    add: ({ keys, due, code }) => addAll({ sweeps: 1, keys, due, failed: code === undefined ? 0 : 1 }),
    async flush() {
      if (counts.sweeps === 0) return;
      const done = { ...counts };
      Object.assign(counts, none);
      try {
        const context = await openContext({ requestId: randomUUID(), actor: { kind: 'schedule' } });
        await context.recorder.sweep(done, done.failed === 0);
        auditHealth.writeSucceeded();
      } catch (thrown) {
        addAll(done);
        auditHealth.writeFailed(toAppError(thrown));
      }
    },
  };
}
