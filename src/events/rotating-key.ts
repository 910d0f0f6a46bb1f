import type { Clock } from '../core/clock.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Reference } from '../providers/credentials.ts';

/** How long a key is used without reading it again. */
const CACHE_MS = 10_000;
/** The shortest time between two reads: a flood of forged requests must not cause a flood of reads. */
const MIN_READ_INTERVAL_MS = 1_000;

export interface RotatingKey {
  /**
   * Tries the cached key first, and then the current one, since the key may have been rotated.
   * @throws AppError CREDENTIAL_MISSING, or another error of reading the key.
   */
  check(accepts: (key: SecretValue) => boolean): Promise<boolean>;
}

export interface RotatingKeyDeps {
  readonly credential: (reference: Reference) => Promise<SecretValue>;
  readonly clock: Clock;
}

/** Reads and caches the key of an intake. */
export function createRotatingKey(reference: Reference, { credential, clock }: RotatingKeyDeps): RotatingKey {
  let lastRead: { readonly answer: Promise<SecretValue>; readonly at: number; failed: boolean } | undefined;

  const read = (maxAgeMs: number): Promise<SecretValue> => {
    const now = clock.now();
    // Compare the absolute distance: after the clock is set back, a key must not live for hours.
    if (
      lastRead !== undefined &&
      Math.abs(now - lastRead.at) < (lastRead.failed ? MIN_READ_INTERVAL_MS : maxAgeMs)
    )
      return lastRead.answer;
    const started = { answer: credential(reference), at: now, failed: false };
    started.answer.then(undefined, () => {
      started.failed = true;
    });
    lastRead = started;
    return started.answer;
  };

  return {
    async check(accepts) {
      const cached = await read(CACHE_MS);
      if (accepts(cached)) return true;
      const current = await read(MIN_READ_INTERVAL_MS);
      return !current.equals(cached) && accepts(current);
    },
  };
}
