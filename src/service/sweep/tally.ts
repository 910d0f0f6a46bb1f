import { randomUUID } from 'node:crypto';
import { toAppError } from '../../core/errors.ts';
import type { AuditDoubt } from '../audit-doubt.ts';
import type { ServiceParts } from '../parts.ts';
import type { SweepResult } from './sweep.ts';

/** What sweeps have found since it was last put on record. */
export interface SweepTally {
  add(result: SweepResult): void;
  /** One record for all of them. Where that fails they stay for the next. */
  record(): Promise<void>;
}

export function createSweepTally({
  beginPass,
  doubt,
}: Pick<ServiceParts, 'beginPass'> & {
  readonly doubt: Pick<AuditDoubt, 'failed' | 'recorded'>;
}): SweepTally {
  const none = { sweeps: 0, keys: 0, due: 0, failed: 0 };
  const counts = { ...none };
  const addAll = (more: typeof none): void => {
    for (const name of Object.keys(more) as (keyof typeof none)[]) counts[name] += more[name];
  };
  return {
    add: ({ keys, due, code }) => addAll({ sweeps: 1, keys, due, failed: code === undefined ? 0 : 1 }),
    async record() {
      if (counts.sweeps === 0) return;
      const done = { ...counts };
      Object.assign(counts, none);
      try {
        const pass = await beginPass({ requestId: randomUUID(), actor: { kind: 'schedule' } });
        await pass.recorder.sweep(done, done.failed === 0);
        doubt.recorded();
      } catch (thrown) {
        addAll(done);
        doubt.failed(toAppError(thrown));
      }
    },
  };
}
