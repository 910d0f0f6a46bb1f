import type { Clock } from '../../core/clock.ts';
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
        // A clock that was set back does not show a stall.
        const ageMs = Math.max(0, clock.now() - beatAt);
        return { name, ageMs, deadlineMs, stalled: ageMs > deadlineMs };
      }),
  };
}
