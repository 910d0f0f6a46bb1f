import type { Clock } from '../core/clock.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Reference } from '../providers/credentials.ts';

/** How long a cached key is used before it is read again. */
const CACHE_MS = 10_000;
/** The minimum time between two reads, so that a flood of forged requests does not cause a flood of reads. */
const MIN_READ_INTERVAL_MS = 1_000;

export interface RotatingKey {
  /**
   * Tries the cached key first. If it is not accepted, reads the current key and tries that one, because the key may
   * have been rotated.
   * @throws AppError CREDENTIAL_MISSING, or another error if the key cannot be read.
   */
  check(accepts: (key: SecretValue) => boolean): Promise<boolean>;
}

export interface RotatingKeyDeps {
  readonly credential: (reference: Reference) => Promise<SecretValue>;
  readonly clock: Clock;
}

/** Reads and caches the key that authenticates senders. */
export function createRotatingKey(reference: Reference, { credential, clock }: RotatingKeyDeps): RotatingKey {
  let lastRead: { readonly answer: Promise<SecretValue>; readonly at: number; failed: boolean } | undefined;

  const read = (maxAgeMs: number): Promise<SecretValue> => {
    const now = clock.now();
    // Compare the absolute difference. Otherwise a key could stay cached for hours after the clock was set back.
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
