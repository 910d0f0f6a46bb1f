import type { Clock } from '../core/clock.ts';
import type { AppError } from '../core/errors.ts';
import type { Logger } from '../log/logger.ts';

/** Whether the audit can be written, by what could not be recorded last and by looks in between. */
export interface AuditDoubt {
  /** @param subject Of the job that tries again. Left out: nothing does, until the next sweeps are recorded. */
  failed(error: AppError, subject?: string): void;
  /** What had failed has been recorded. That others succeed shows nothing: they may have had nothing to record. */
  recorded(subject?: string): void;
  /** A look has found that it can be written, or why not. A quiet service has nothing to record for an hour. */
  looked(error?: AppError): void;
  /** Why it could not be written the last time. */
  trouble(): AppError | undefined;
}

/** Jobs that have nothing to record still succeed meanwhile: that does not make it another outage. */
const QUIET_MS = 60_000;
/** A job that failed is tried again well within this, unless another replica does so or nobody wants it any more. */
const DOUBT_MS = 60_000;

const NOBODY = '';

export function createAuditDoubt({
  clock,
  logger,
}: {
  readonly clock: Clock;
  readonly logger: Logger;
}): AuditDoubt {
  let last: { readonly subject: string; readonly error: AppError; readonly at: number } | undefined;
  let seen: AppError | undefined;
  let saidAt = Number.NEGATIVE_INFINITY;
  let isOver = true;
  const isWithin = (ms: number, since: number): boolean => Math.abs(clock.now() - since) < ms;
  const say = (error: AppError): void => {
    if (!isWithin(QUIET_MS, saidAt))
      logger.error('the audit cannot be written, so nothing is changed', { error });
    saidAt = clock.now();
    isOver = false;
  };
  const trouble = (): AppError | undefined => {
    if (last !== undefined && (last.subject === NOBODY || isWithin(DOUBT_MS, last.at))) return last.error;
    return seen;
  };
  return {
    failed(error, subject = NOBODY) {
      say(error);
      last = { subject, error, at: saidAt };
    },
    looked(error) {
      if (error !== undefined) say(error);
      seen = error;
      // Only a look has written something: that a job succeeds shows nothing.
      if (isOver || trouble() !== undefined) return;
      logger.info('the audit can be written again');
      isOver = true;
      saidAt = Number.NEGATIVE_INFINITY;
    },
    recorded(subject = NOBODY) {
      if (subject === NOBODY || last?.subject === subject) last = undefined;
    },
    trouble,
  };
}
