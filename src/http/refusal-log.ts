import type { AppError } from '../core/errors.ts';
import type { Wake } from '../core/wake.ts';
import type { Origin } from '../events/hint.ts';
import type { LogFields, Logger } from '../log/logger.ts';

const WINDOW_MS = 60_000;

export interface Refusal {
  readonly origin: Origin;
  readonly status: number;
  readonly error: AppError;
  readonly address: string;
}

/**
 * What an intake did not take: the first of a kind at once, then one line a minute with how many there were and where
 * the last one came from. So a flood costs no disk.
 */
export function createRefusalLog(logger: Logger, wake: Wake): (refusal: Refusal) => void {
  const open = new Map<string, { count: number; last: Refusal }>();

  const say = ({ origin, status, error, address }: Refusal, count: number): void => {
    const fields: LogFields = { kind: origin.kind, name: origin.name, address, count };
    if (status >= 500) logger.warn('events cannot be taken', { ...fields, error });
    else logger.info('events refused', { ...fields, code: error.code });
  };
  const close = (id: string): void => {
    const found = open.get(id);
    if (found === undefined) return;
    open.delete(id);
    if (found.count === 0) return;
    say(found.last, found.count);
    start(id, found.last);
  };
  const start = (id: string, last: Refusal): void => {
    open.set(id, { count: 0, last });
    wake(() => close(id), WINDOW_MS);
  };

  return (refusal) => {
    const id = `${refusal.origin.kind} ${refusal.origin.name} ${refusal.error.code}`;
    const found = open.get(id);
    if (found !== undefined) {
      found.count += 1;
      found.last = refusal;
      return;
    }
    say(refusal, 1);
    start(id, refusal);
  };
}
