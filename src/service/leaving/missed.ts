import type { Logger } from '../../log/logger.ts';
import type { Unseen } from '../../reconcile/left.ts';

/** What may have left the configuration, and could not be looked at. */
export interface Missed {
  /** What a look has missed, in place of what was before. Gives how soon to look again; undefined: only when asked. */
  note(unseen: readonly Unseen[]): number | undefined;
}

/** The cluster may be back before the next watch tells, or a watch may have told while the look went on. */
const SOONEST_MS = 15_000;
const LATEST_MS = 600_000;

export function createMissed(logger: Logger): Missed {
  let told: ReadonlySet<string> = new Set();
  let times = 0;
  return {
    note(unseen) {
      for (const { what, error } of unseen)
        if (!told.has(what))
          logger.warn('what left the configuration could not be looked at', { name: what, error });
      told = new Set(unseen.map(({ what }) => what));
      // What only a person can mend is looked at each hour, and when the configuration changes.
      if (!unseen.some(({ error }) => error.heals)) {
        times = 0;
        return undefined;
      }
      const wait = Math.min(LATEST_MS, SOONEST_MS * 2 ** times);
      times += 1;
      return wait;
    },
  };
}
