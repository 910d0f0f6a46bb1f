import type { Clock } from '../../core/clock.ts';
import type { LoopState } from '../service.ts';

/** The progress clock of one loop. */
export interface Loop {
  /** It succeeded or failed: either is progress, so that an outage restarts nobody. */
  beat(): void;
  /** It is over, as wanted. */
  end(): void;
}

export interface Loops {
  /** @param deadlineMs Without a beat for so long it counts as stalled. Starts with a beat. */
  begin(name: string, deadlineMs: number): Loop;
  states(): readonly LoopState[];
}

/** Every loop of the process that must go on, with the time of its last progress. */
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
        // A clock that was set back is no stall.
        const ageMs = Math.max(0, clock.now() - beatAt);
        return { name, ageMs, deadlineMs, stalled: ageMs > deadlineMs };
      }),
  };
}
