import type { Clock } from '../core/clock.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Reference } from '../providers/credentials.ts';

/** How long a key is used without a look whether it is another one by now. */
const FRESH_MS = 10_000;
/** How often at most it is looked at: a flood of forged requests must not become one of reads. */
const LOOK_MS = 1_000;

export interface HeldKey {
  /**
   * Whether the key as it was last read does, or else the one of now: it may have been rotated.
   * @throws AppError CREDENTIAL_MISSING, or whatever else keeps it from being read.
   */
  check(accepts: (key: SecretValue) => boolean): Promise<boolean>;
}

export interface HeldKeyDeps {
  readonly credential: (reference: Reference) => Promise<SecretValue>;
  readonly clock: Clock;
}

/** The key of an intake, by reference. */
export function createHeldKey(reference: Reference, { credential, clock }: HeldKeyDeps): HeldKey {
  let last: { readonly answer: Promise<SecretValue>; readonly at: number; failed: boolean } | undefined;

  const read = (maxAgeMs: number): Promise<SecretValue> => {
    const now = clock.now();
    // By distance: a clock that was set back must not keep a key for hours.
    if (last !== undefined && Math.abs(now - last.at) < (last.failed ? LOOK_MS : maxAgeMs))
      return last.answer;
    const look = { answer: credential(reference), at: now, failed: false };
    look.answer.then(undefined, () => {
      look.failed = true;
    });
    last = look;
    return look.answer;
  };

  return {
    async check(accepts) {
      const known = await read(FRESH_MS);
      if (accepts(known)) return true;
      const current = await read(LOOK_MS);
      return !current.equals(known) && accepts(current);
    },
  };
}
