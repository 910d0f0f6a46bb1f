import type { Clock } from '../core/clock.ts';
import type { AppError } from '../core/errors.ts';

const FIRST_WAIT_MS = 10_000;
const MAX_WAIT_MS = 60_000;

/**
 * Returns how long to wait after this many refused logins in a row. The wait is limited, because the credentials may
 * change at any time.
 */
export function loginWaitAfter(times: number): number {
  return Math.min(FIRST_WAIT_MS * 2 ** Math.max(0, times - 1), MAX_WAIT_MS);
}

/**
 * Delays the next login of one identity after refused logins. Otherwise every read would repeat a login that only a
 * person can fix.
 */
export interface LoginBackoff {
  /** @throws AppError The error of the last login, until the wait after it is over. */
  check(): void;
  /** Records a refused login. Refusals of concurrent logins count as one. */
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
      // A login without a credential sends no request to the server, so it does not make the wait longer.
      if (error.code !== 'CREDENTIAL_MISSING') times += 1;
      last = { error, at: clock.now() };
    },
    clear() {
      times = 0;
      last = undefined;
    },
  };
}
