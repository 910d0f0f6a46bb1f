import type { Entry } from '../audit/entry.ts';
import type { Clock } from '../core/clock.ts';
import { AppError, isTransient } from '../core/errors.ts';
import { MAX_RETRY_AFTER_MS } from '../sync/schedule.ts';
import { type PendingRestart, restartDelayed, restartOutcome } from './pending.ts';

/** A restart that has failed. */
export interface FailedRestart {
  readonly mapping: string;
  readonly namespace: string;
  /** The Secret whose change requires the restart. */
  readonly secret: string;
  /** The workload in the format of audit records: `Deployment/web`, or `Deployment` if the restart has a selector. */
  readonly workload: string;
  readonly error: AppError;
}

/** @param isNew Whether the failure has just begun or now has another error code. */
export type OnRestartFailure = (failedRestart: FailedRestart, isNew: boolean) => void;

export interface FailuresDeps {
  readonly clock: Clock;
  readonly record: (entries: readonly Entry[]) => Promise<void>;
  readonly scheduleNext: (ms: number) => void;
  readonly onFailure?: OnRestartFailure | undefined;
  readonly signal?: AbortSignal | undefined;
  /** How long a workload may be missing after a change before its restart fails. 0: the restart is given up at once. */
  readonly missingMs: number;
}

/** Records, reports and reschedules the failed restarts of one cycle. */
export interface Failures {
  /** Records a failure when it begins or its code changes, and schedules a retry. Gives the restart up after a day. */
  recordFailure(pending: readonly PendingRestart[], error: AppError): Promise<void>;
  /**
   * Records that the workload of these restarts does not exist. It may be installed after the Secret, so the restart
   * waits for it for some time.
   */
  recordMissing(pending: readonly PendingRestart[]): Promise<void>;
  /** Whether the cluster counts as down, because calls have failed. Further calls would only wait for an answer. */
  isClusterDown(): boolean;
}

const TRANSIENT_RETRY_MS = 10_000;
/** The retry delay for a missing workload, which may soon be created. */
const MISSING_RETRY_MS = 30_000;
/** The retry delay for failures that a person must fix. */
const LASTING_RETRY_MS = 5 * 60_000;
/** The time after which a failing restart is given up. */
const GIVE_UP_MS = 24 * 60 * 60_000;

export function createFailures(deps: FailuresDeps): Failures {
  const { clock, record, scheduleNext, onFailure, signal, missingMs } = deps;
  /**
   * For each restart, the code of the failure that was last recorded in this cycle. With it, a restart with a selector
   * is recorded as failed once, and not once for each workload.
   */
  const recordedCodes = new Map<PendingRestart, string>();
  let isCutOff = false;

  const notify = (pending: readonly PendingRestart[], error: AppError, news = pending): void => {
    // An interrupted restart is not a failure.
    if (signal?.aborted) return;
    for (const pendingRestart of pending) {
      const { mapping = '', namespace = '', secret = '', note: workload = '' } = pendingRestart.intent;
      onFailure?.({ mapping, namespace, secret, workload, error }, news.includes(pendingRestart));
    }
  };
  const failures: Failures = {
    isClusterDown: () => isCutOff,
    async recordFailure(pending, error) {
      const { code } = error;
      const retryAfterMs = Math.min(error.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
      const now = clock.now();
      const isExpired = ({ changedAt }: PendingRestart): boolean => now - changedAt > GIVE_UP_MS;
      if (code === 'CLUSTER_UNAVAILABLE') isCutOff = true;
      // Record each restart that is given up. Record any other failure only if it is new.
      const news = pending.filter((pendingRestart) =>
        isExpired(pendingRestart)
          ? !recordedCodes.has(pendingRestart)
          : (recordedCodes.get(pendingRestart) ?? pendingRestart.code) !== code,
      );
      for (const pendingRestart of pending) recordedCodes.set(pendingRestart, code);
      notify(pending, error, news);
      await record(
        news.map((pendingRestart) =>
          isExpired(pendingRestart)
            ? restartOutcome(pendingRestart, now, { code })
            : restartDelayed(pendingRestart, now, code),
        ),
      );
      if (!pending.every(isExpired))
        scheduleNext(Math.max(retryAfterMs, isTransient(code) ? TRANSIENT_RETRY_MS : LASTING_RETRY_MS));
    },
    async recordMissing(pending) {
      const error = new AppError('WORKLOAD_MISSING');
      if (missingMs > 0) {
        const late = pending.filter(({ changedAt }) => clock.now() - changedAt > missingMs);
        if (late.length < pending.length) scheduleNext(MISSING_RETRY_MS);
        if (late.length > 0) await failures.recordFailure(late, error);
        return;
      }
      await record(
        pending.map((pendingRestart) => restartOutcome(pendingRestart, clock.now(), { code: error.code })),
      );
      notify(pending, error);
    },
  };
  return failures;
}
