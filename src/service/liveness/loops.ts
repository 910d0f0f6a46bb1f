import type { Clock } from '../../core/clock.ts';
import type { LoopState } from '../service.ts';

/** The progress clock of one loop. */
export interface Loop {
  /** Records progress. A failure counts as progress too, so that an outage causes no restart. */
  beat(): void;
  /** Ends the loop as intended. */
  end(): void;
}

export interface Loops {
  /** @param deadlineMs A loop without progress for this long counts as stalled. Starting counts as progress. */
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
        // A clock that was set back is not a stall.
        const ageMs = Math.max(0, clock.now() - beatAt);
        return { name, ageMs, deadlineMs, stalled: ageMs > deadlineMs };
      }),
  };
}
