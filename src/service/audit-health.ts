import type { Clock } from '../core/clock.ts';
import type { AppError } from '../core/errors.ts';
import type { Logger } from '../log/logger.ts';

/** Whether the audit can be written, by what could not be recorded last and by looks in between. */
export interface AuditHealth {
  /** @param subject Of the job that tries again. Left out: nothing does, until the next sweeps are recorded. */
  writeFailed(error: AppError, subject?: string): void;
  /** What had failed has been recorded. That others succeed shows nothing: they may have had nothing to record. */
  writeSucceeded(subject?: string): void;
  /** A look has found that it can be written, or why not. A quiet service has nothing to record for an hour. */
  probed(error?: AppError): void;
  /** Why it could not be written the last time. */
  error(): AppError | undefined;
}

/** Jobs that have nothing to record still succeed meanwhile: that does not make it another outage. */
const LOG_INTERVAL_MS = 60_000;
/** A job that failed is tried again well within this, unless another replica does so or nobody wants it any more. */
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
      // Only a look has written something: that a job succeeds shows nothing.
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
