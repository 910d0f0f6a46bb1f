import type { AuditRecord } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Clock } from '../core/clock.ts';
import { isErrorCode } from '../core/error-codes.ts';
import { AppError } from '../core/errors.ts';
import type { IsRestartConfigured } from './cycle.ts';
import type { FailedRestart } from './failures.ts';
import { createRecordReader } from './new-records.ts';

/** The restarts that have failed or are stuck, and are still wanted, of all processes. */
export interface FailedRestarts {
  /** Returns the failed restarts that the last `refresh` found. */
  current(): readonly FailedRestart[];
  /** Reads the records since the last call. While the audit is down, finds nothing new. */
  refresh(): Promise<void>;
}

export interface FailedRestartsDeps {
  readonly audit: Pick<AuditStore, 'list'>;
  readonly clock: Clock;
  /** The current name of the instance, and its former names. */
  readonly instances: readonly string[];
  readonly isConfigured: IsRestartConfigured;
}

/**
 * Finds failed restarts in the audit, which all replicas share. A failure lasts until the workload is restarted, also if
 * the restart was given up. A stuck rollout lasts until its pods are replaced.
 */
export function createFailedRestarts({
  audit,
  clock,
  instances,
  isConfigured,
}: FailedRestartsDeps): FailedRestarts {
  const failed = new Map<string, FailedRestart>();

  function note(record: AuditRecord): void {
    const { mapping = '', namespace = '', secret = '', note: workload = '' } = record;
    const { phase, outcome, code = '' } = record;
    const key = JSON.stringify([mapping, namespace, secret, workload]);
    if (outcome === 'failed' && isErrorCode(code)) {
      const error = new AppError(code, { subject: `${workload} in ${namespace}` });
      failed.set(key, { mapping, namespace, secret, workload, error });
    } else if (phase !== 'intent') failed.delete(key);
  }

  const readNew = createRecordReader({ audit, clock, instances }, note);
  return {
    current: () => [...failed.values()].filter(({ mapping, workload }) => isConfigured(mapping, workload)),
    async refresh() {
      try {
        await readNew();
      } catch (thrown) {
        if (!(thrown instanceof AppError)) throw thrown;
      }
    },
  };
}
