import type { Clock } from '../core/clock.ts';
import type { AppError } from '../core/errors.ts';
import type { Logger } from '../telemetry/logger.ts';

/** Tracks whether the audit can be written. Uses the last failed write and periodic probes. */
export interface AuditHealth {
  /**
   * @param subject Subject of the failed job, which will be retried. Omit the subject for sweep records, which belong
   * to no job.
   */
  writeFailed(error: AppError, subject?: string): void;
  /**
   * Clears the failure that was reported for this subject, because its write has now succeeded. The success of another
   * job does not count, because that job may have written no record.
   */
  writeSucceeded(subject?: string): void;
  /** Takes the result of a probe. Probes are needed because an idle service may write no record for an hour. */
  probed(error?: AppError): void;
  /** Returns the reason why the audit cannot be written, or `undefined` if it can. */
  error(): AppError | undefined;
}

/**
 * Failures within this time count as one outage and are logged once. Jobs that write no record may succeed in between.
 */
const LOG_INTERVAL_MS = 60_000;
/**
 * A failure of a job is ignored after this time, because the job was retried, taken over by another replica, or
 * dropped.
 */
const FAILURE_TTL_MS = 60_000;

const NO_SUBJECT = '';

export function createAuditHealth({
  clock,
  logger,
}: {
  readonly clock: Clock;
  readonly logger: Logger;
}): AuditHealth {
  let lastFailure: { readonly subject: string; readonly error: AppError; readonly at: number } | undefined;
  let probeError: AppError | undefined;
  let loggedAt = Number.NEGATIVE_INFINITY;
  let isRecovered = true;
  const isWithin = (ms: number, since: number): boolean => Math.abs(clock.now() - since) < ms;
  const logFailure = (error: AppError): void => {
    if (!isWithin(LOG_INTERVAL_MS, loggedAt))
      logger.error('the audit cannot be written, so nothing is changed', { error });
    loggedAt = clock.now();
    isRecovered = false;
  };
  const currentError = (): AppError | undefined => {
    if (
      lastFailure !== undefined &&
      (lastFailure.subject === NO_SUBJECT || isWithin(FAILURE_TTL_MS, lastFailure.at))
    )
      return lastFailure.error;
    return probeError;
  };
  return {
    writeFailed(error, subject = NO_SUBJECT) {
      logFailure(error);
      lastFailure = { subject, error, at: loggedAt };
    },
    probed(error) {
      if (error !== undefined) logFailure(error);
      probeError = error;
      // Only a probe proves that the audit can be written. A successful job may have written no record.
      if (isRecovered || currentError() !== undefined) return;
      logger.info('the audit can be written again');
      isRecovered = true;
      loggedAt = Number.NEGATIVE_INFINITY;
    },
    writeSucceeded(subject = NO_SUBJECT) {
      if (subject === NO_SUBJECT || lastFailure?.subject === subject) lastFailure = undefined;
    },
    error: currentError,
  };
}
