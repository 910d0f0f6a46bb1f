import { AppError } from '../../core/errors.ts';
import { within } from '../../core/timer.ts';
import type { Controller } from '../../service/controller.ts';
import type { Status } from '../../service/service.ts';
import type { App } from '../app.ts';

/** Probes and scrapes time out after one to ten seconds. They must get an answer even if the database hangs. */
const QUERY_TIMEOUT_MS = 2_000;

/**
 * Returns a function that reports the state of the audit store. If the store does not answer, the function reports the
 * last known sequence number; 0 would look like a loss. A hanging database receives only one query at a time, and later
 * callers do not wait for that query.
 */
export function createAuditStatus(
  { audit, checkpoints, config }: Pick<App, 'audit' | 'checkpoints' | 'config'>,
  { auditHealth }: { readonly auditHealth: Pick<Controller['auditHealth'], 'error'> },
  askMs = QUERY_TIMEOUT_MS,
): () => Promise<Status['audit']> {
  const { kind } = config.audit.store;
  let sequence = 0;
  let pendingQuery: Promise<true> | undefined;
  let isLate = false;

  const queryHead = async (): Promise<true> => {
    try {
      ({ sequence } = await audit.head());
      return true;
    } finally {
      pendingQuery = undefined;
      isLate = false;
    }
  };
  const requireAnswer = async (): Promise<void> => {
    const late = new AppError('AUDIT_UNAVAILABLE', { detail: 'it does not answer' });
    if (isLate) throw late;
    pendingQuery ??= queryHead();
    if (await within(pendingQuery, askMs)) return;
    isLate = pendingQuery !== undefined;
    throw late;
  };
  const down = ({ code }: AppError) => ({ kind, state: 'down' as const, sequence, code });

  return async () => {
    try {
      await requireAnswer();
    } catch (error) {
      if (error instanceof AppError && error.code === 'AUDIT_UNAVAILABLE') return down(error);
      throw error;
    }
    const auditError = auditHealth.error();
    if (auditError !== undefined) return down(auditError);
    const failing = checkpoints?.writeError();
    return failing === undefined
      ? { kind, state: 'up', sequence }
      : { kind, state: 'degraded', sequence, code: failing.code };
  };
}
