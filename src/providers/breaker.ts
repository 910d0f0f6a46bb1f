import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';

export interface Breaker {
  /** @throws AppError TIMEOUT while the store is not to be asked. */
  enter(): void;
  /** How a call that had entered ended: its error, or undefined for an answer of any kind. */
  leave(error: unknown): void;
}

export interface BreakerOptions {
  /** So many calls in a row without an answer open it. */
  readonly failures: number;
  /** So long nothing is asked; then one call tries. */
  readonly openMs: number;
}

export const USUAL: BreakerOptions = { failures: 5, openMs: 10_000 };

/**
 * Closed → open after some time-outs in a row → after a while one call tries → closed again, or open. Only
 * time-outs count: whatever fails at once does not keep others waiting, while a store that hangs would cost each of
 * a thousand reads its whole time limit.
 */
export function createBreaker(clock: Clock, { failures, openMs }: BreakerOptions): Breaker {
  let inARow = 0;
  let openedAt = 0;
  let isTrying = false;
  return {
    enter() {
      if (inARow < failures) return;
      // By distance, so that a clock that was set back does not keep it open.
      if (isTrying || Math.abs(clock.now() - openedAt) < openMs) {
        throw new AppError('TIMEOUT', { detail: 'the last calls had no answer, so this one was not made' });
      }
      isTrying = true;
    },
    leave(error) {
      isTrying = false;
      if (!(error instanceof AppError) || error.code !== 'TIMEOUT') {
        inARow = 0;
        return;
      }
      inARow += 1;
      openedAt = clock.now();
    },
  };
}
