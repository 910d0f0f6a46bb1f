import type { Clock } from '../core/clock.ts';
import type { AppError } from '../core/errors.ts';

const FIRST_WAIT_MS = 10_000;
const MAX_WAIT_MS = 60_000;

/**
 * How long to wait after this many refused logins in a row. The wait is bounded, because the credentials may change
 * meanwhile.
 */
export function loginWaitAfter(times: number): number {
  return Math.min(FIRST_WAIT_MS * 2 ** Math.max(0, times - 1), MAX_WAIT_MS);
}

/** Remembers refused logins of one identity, so that a login that a person must fix is not repeated for every read. */
export interface LoginBackoff {
  /** @throws AppError The last error, until the wait is over. */
  check(): void;
  /** Concurrent failures count as one. */
  record(error: AppError): void;
  clear(): void;
}

export function createLoginBackoff(clock: Clock): LoginBackoff {
  let last: { readonly error: AppError; readonly at: number } | undefined;
  let times = 0;
  // Compares the absolute difference. Otherwise a clock that was set back could block logins for hours.
  const recent = () =>
    last !== undefined && Math.abs(clock.now() - last.at) < loginWaitAfter(times) ? last : undefined;
  return {
    check() {
      const refused = recent();
      if (refused !== undefined) throw refused.error;
    },
    record(error) {
      if (recent() !== undefined) return;
      // Looking for a missing credential costs the server nothing, so the wait does not grow.
      if (error.code !== 'CREDENTIAL_MISSING') times += 1;
      last = { error, at: clock.now() };
    },
    clear() {
      times = 0;
      last = undefined;
    },
  };
}
