import type { AppError } from '../core/errors.ts';
import type { StartTimer } from '../core/timer.ts';
import type { Origin } from '../events/hint.ts';
import type { LogFields, Logger } from '../telemetry/logger.ts';

const WINDOW_MS = 60_000;

export interface Refusal {
  readonly origin: Origin;
  readonly status: number;
  readonly error: AppError;
  readonly address: string;
}

/**
 * Logs rejected events. Logs the first event of each kind immediately. Summarizes further events in at most one line
 * per minute, with their count and the last address. So a flood of events does not fill the disk.
 */
export function createRefusalLog(logger: Logger, wake: StartTimer): (refusal: Refusal) => void {
  const periods = new Map<string, { count: number; last: Refusal }>();

  const write = ({ origin, status, error, address }: Refusal, count: number): void => {
    const fields: LogFields = { kind: origin.kind, name: origin.name, address, count };
    if (status >= 500) logger.warn('events cannot be accepted', { ...fields, error });
    else logger.info('events refused', { ...fields, code: error.code });
  };
  const endPeriod = (id: string): void => {
    const period = periods.get(id);
    if (period === undefined) return;
    periods.delete(id);
    if (period.count === 0) return;
    write(period.last, period.count);
    startPeriod(id, period.last);
  };
  const startPeriod = (id: string, last: Refusal): void => {
    periods.set(id, { count: 0, last });
    wake(() => endPeriod(id), WINDOW_MS);
  };

  return (refusal) => {
    const id = `${refusal.origin.kind} ${refusal.origin.name} ${refusal.error.code}`;
    const period = periods.get(id);
    if (period !== undefined) {
      period.count += 1;
      period.last = refusal;
      return;
    }
    write(refusal, 1);
    startPeriod(id, refusal);
  };
}
