import { AppError } from '../../src/core/errors.ts';
import type { MakeDeadline } from '../../src/providers/timing.ts';
import type { ManualTime } from '../fakes/manual-time.ts';

/** A call timeout on a clock that the test moves. */
export function manualDeadline(time: ManualTime): MakeDeadline {
  return (ms) => {
    const controller = new AbortController();
    const stop = time.wake(() => controller.abort(new AppError('TIMEOUT')), ms);
    return { signal: controller.signal, stop };
  };
}
