import type { Logger } from '../../log/logger.ts';
import type { Unreadable } from '../../reconcile/orphans.ts';

/** Possible orphans that could not be read. */
export interface UnreadableOrphans {
  /** Replaces the unreadable orphans. Returns the delay until the next check, or `undefined` for none. */
  note(unseen: readonly Unreadable[]): number | undefined;
}

/** Polls, because the cluster may recover without an event from a watch. */
const MIN_RETRY_MS = 15_000;
const MAX_RETRY_MS = 600_000;

export function createUnreadableOrphans(logger: Logger): UnreadableOrphans {
  let logged: ReadonlySet<string> = new Set();
  let retries = 0;
  return {
    note(unseen) {
      for (const { what, error } of unseen)
        if (!logged.has(what)) logger.warn('an orphaned target could not be checked', { name: what, error });
      logged = new Set(unseen.map(({ what }) => what));
      // Other errors need an operator. They are checked again each hour and after a configuration change.
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
