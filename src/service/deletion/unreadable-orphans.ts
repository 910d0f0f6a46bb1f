import type { Unreadable } from '../../reconcile/orphans.ts';
import type { Logger } from '../../telemetry/logger.ts';

/** Tracks possible orphans that could not be read. */
export interface UnreadableOrphans {
  /** Sets the unreadable orphans. Returns the delay until the next check, or `undefined` for none. */
  note(unseen: readonly Unreadable[]): number | undefined;
}

/** The delay of the first check. Checks are needed because no watch event reports that the cluster has recovered. */
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
      // Errors that are not transient need an operator. The next orphan check reads the affected targets again. Orphan
      // checks run hourly and after each configuration change.
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
