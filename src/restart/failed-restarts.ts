import type { AuditRecord } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Clock } from '../core/clock.ts';
import { isErrorCode } from '../core/error-codes.ts';
import { AppError } from '../core/errors.ts';
import { createSharedRun } from '../core/serial-executor.ts';
import type { IsRestartConfigured } from './cycle.ts';
import type { FailedRestart } from './failures.ts';
import { HORIZON_MS } from './restarts.ts';

/** The restarts that have failed and are still wanted, of all processes. */
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

const PAGE = 500;

/**
 * Finds failed restarts in the audit, which all replicas share. A failure lasts until the workload is restarted, also if
 * the restart was given up.
 */
export function createFailedRestarts({
  audit,
  clock,
  instances,
  isConfigured,
}: FailedRestartsDeps): FailedRestarts {
  const failed = new Map<string, FailedRestart>();
  let lastSequence = 0;

  function note(record: AuditRecord): void {
    const { instance, mapping = '', namespace = '', secret = '', note: workload = '' } = record;
    const { phase, outcome, code = '' } = record;
    if (!instances.includes(instance)) return;
    const key = JSON.stringify([mapping, namespace, secret, workload]);
    if (outcome === 'failed' && isErrorCode(code)) {
      const error = new AppError(code, { subject: `${workload} in ${namespace}` });
      failed.set(key, { mapping, namespace, secret, workload, error });
    } else if (phase === 'outcome') failed.delete(key);
  }

  // Concurrent readers would apply the same records twice, in another order.
  const readNew = createSharedRun(async (): Promise<void> => {
    const since = new Date(clock.now() - HORIZON_MS).toISOString();
    for (;;) {
      const page = await audit.list({ action: 'restart', since }, { limit: PAGE, after: lastSequence });
      for (const record of page) note(record);
      lastSequence = page.at(-1)?.sequence ?? lastSequence;
      if (page.length < PAGE) return;
    }
  });

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
