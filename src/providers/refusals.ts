import type { Clock } from '../core/clock.ts';
import type { AppError } from '../core/errors.ts';

const FIRST_MS = 10_000;
const LONGEST_MS = 60_000;

/** How long a login that was refused so many times in a row is left alone: other credentials may come meanwhile. */
export function patienceAfter(times: number): number {
  return Math.min(FIRST_MS * 2 ** Math.max(0, times - 1), LONGEST_MS);
}

/** Refused logins of one identity: what a person must mend is not tried at each of a thousand reads. */
export interface Refusals {
  /** @throws AppError of the last one, while no other attempt is to be made. */
  check(): void;
  /** Those that were under way together count as one. */
  note(error: AppError): void;
  clear(): void;
}

export function createRefusals(clock: Clock): Refusals {
  let last: { readonly error: AppError; readonly at: number } | undefined;
  let times = 0;
  // By distance: a clock that was set back must not keep a login from being tried for hours.
  const recent = () =>
    last !== undefined && Math.abs(clock.now() - last.at) < patienceAfter(times) ? last : undefined;
  return {
    check() {
      const refused = recent();
      if (refused !== undefined) throw refused.error;
    },
    note(error) {
      if (recent() !== undefined) return;
      // What is not there is looked for at our own cost.
      if (error.code !== 'CREDENTIAL_MISSING') times += 1;
      last = { error, at: clock.now() };
    },
    clear() {
      times = 0;
      last = undefined;
    },
  };
}
