import type { StartTimer } from '../core/timer.ts';

const WINDOW_MS = 60_000;
/** The maximum number of records about one address or person in a minute. */
const MAX_RECORDS = 20;
/** The maximum number of records about all of them. An attack from many addresses cannot fill the audit. */
const MAX_ALL_RECORDS = 200;
/** The maximum number of addresses and people that are counted separately. */
const MAX_COUNTED = 1_000;

/** The refusals of a minute without records of their own. */
export interface Suppressed {
  readonly count: number;
  /** The number of addresses and people, up to a maximum. */
  readonly sources: number;
}

export interface SignInLimit {
  /** Whether a refusal from this address, or of this person, gets a record of its own. */
  take(source: string): boolean;
  /** Ends the minute now. */
  end(): void;
}

interface Window {
  readonly records: Map<string, number>;
  readonly suppressed: Set<string>;
  all: number;
  count: number;
  readonly cancel: () => void;
}

/**
 * Limits the records of refused sign-ins. Anybody can cause refusals, so each address and each person has a limit, and an
 * attacker does not hide others. Refusals without a record are counted.
 * @param onSuppressed Called at the end of a minute with such refusals.
 */
export function createSignInLimit(
  wake: StartTimer,
  onSuppressed: (suppressed: Suppressed) => void,
): SignInLimit {
  let window: Window | undefined;

  function end(): void {
    const ended = window;
    window = undefined;
    ended?.cancel();
    if (ended !== undefined && ended.count > 0)
      onSuppressed({ count: ended.count, sources: ended.suppressed.size });
  }

  const begin = (): Window => ({
    ...{ records: new Map(), suppressed: new Set(), all: 0, count: 0, cancel: wake(end, WINDOW_MS) },
  });

  return {
    end,
    take(source) {
      window ??= begin();
      const records = window.records.get(source) ?? 0;
      if (records < MAX_RECORDS && window.all < MAX_ALL_RECORDS) {
        window.records.set(source, records + 1);
        window.all += 1;
        return true;
      }
      window.count += 1;
      if (window.suppressed.size < MAX_COUNTED) window.suppressed.add(source);
      return false;
    },
  };
}
