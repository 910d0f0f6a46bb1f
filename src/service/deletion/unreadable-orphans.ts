import type { Logger } from '../../log/logger.ts';
import type { Unreadable } from '../../reconcile/orphans.ts';

/** What may have left the configuration, and could not be looked at. */
export interface UnreadableOrphans {
  /** What a look has missed, in place of what was before. Gives how soon to look again; undefined: only when asked. */
  note(unseen: readonly Unreadable[]): number | undefined;
}

/** The cluster may be back before the next watch tells, or a watch may have told while the look went on. */
const MIN_RETRY_MS = 15_000;
const MAX_RETRY_MS = 600_000;

export function createUnreadableOrphans(logger: Logger): UnreadableOrphans {
  let logged: ReadonlySet<string> = new Set();
  let retries = 0;
  return {
    note(unseen) {
      for (const { what, error } of unseen)
        if (!logged.has(what))
          logger.warn('what left the configuration could not be looked at', { name: what, error });
      logged = new Set(unseen.map(({ what }) => what));
      // What only a person can mend is looked at each hour, and when the configuration changes.
      if (!unseen.some(({ error }) => error.isTransient)) {
        retries = 0;
        return undefined;
      }
      const wait = Math.min(MAX_RETRY_MS, MIN_RETRY_MS * 2 ** retries);
      retries += 1;
      return wait;
    },
  };
}
