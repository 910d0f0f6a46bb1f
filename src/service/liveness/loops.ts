import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { LoopState } from '../service.ts';

/** Tracks the progress of one loop. */
export interface Loop {
  /** Records progress. A failure counts as progress too, so that an outage causes no restart. */
  beat(): void;
  /** Stops tracking the loop, which has ended normally. */
  end(): void;
}

export interface Loops {
  /** @param deadlineMs Without progress for this time, the loop counts as stalled. Its start counts as progress. */
  begin(name: string, deadlineMs: number): Loop;
  states(): readonly LoopState[];
}

/** Tracks the progress of every loop that must keep running. */
export function createLoops(clock: Clock): Loops {
  const running = new Map<Loop, { readonly name: string; readonly deadlineMs: number; beatAt: number }>();
  return {
    begin(name, deadlineMs) {
      const loop: Loop = {
        beat() {
          const state = running.get(loop);
          if (state !== undefined) state.beatAt = clock.now();
        },
        end: () => void running.delete(loop),
      };
      running.set(loop, { name, deadlineMs, beatAt: clock.now() });
      return loop;
    },
    states: () =>
      [...running.values()].map(({ name, deadlineMs, beatAt }) => {
        // If the clock was set back, the age is negative and does not show a stall.
        const ageMs = Math.max(0, clock.now() - beatAt);
        return { name, ageMs, deadlineMs, stalled: ageMs > deadlineMs };
      }),
  };
}

const CHECK_INTERVAL_MS = 5_000;

/** Logs once when a loop stalls, and once when it makes progress again. */
export function watchStalls(
  loops: Pick<Loops, 'states'>,
  { logger }: { readonly logger: Logger },
): Disposable {
  const stalled = new Set<string>();
  const check = (): void => {
    const states = loops.states();
    // Forget loops that have ended.
    const names = new Set(states.map(({ name }) => name));
    for (const name of stalled) if (!names.has(name)) stalled.delete(name);
    for (const { name, ageMs, stalled: isStalled } of states) {
      if (isStalled && !stalled.has(name)) {
        stalled.add(name);
        logger.error('a loop makes no progress', { name, durationMs: ageMs });
      } else if (!isStalled && stalled.delete(name)) logger.info('a loop makes progress again', { name });
    }
  };
  const timer = setInterval(check, CHECK_INTERVAL_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
