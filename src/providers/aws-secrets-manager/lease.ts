import { unlessAborted } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { AppError, isTransient } from '../../core/errors.ts';
import { validDate } from '../created-at.ts';
import { createLoginBackoff } from '../login-backoff.ts';

/**
 * The credentials that sign a request, in the form of the SDK. They contain secrets as plain text, so they never leave
 * this folder.
 */
export interface Identity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  /** Undefined if the credentials do not expire. */
  readonly expiration?: Date | undefined;
}

export interface Lease {
  /** The current identity, shared by all callers and renewed before it expires. @throws AppError */
  current(signal?: AbortSignal): Promise<Identity>;
  /**
   * Replaces an identity that AWS refused. Undefined if no other identity is available yet. The refused identity is
   * then not used for a while.
   * @param why The error of AWS.
   * @throws AppError if the login failed.
   */
  replace(refused: Identity, why: AppError, signal?: AbortSignal): Promise<Identity | undefined>;
}

/** The minimum time between replacements, so that an identity is not replaced for every read. */
const MIN_REPLACE_INTERVAL_MS = 10_000;
/** The wait after an early renewal that failed. The old identity is used until then. */
const RENEW_RETRY_MS = 30_000;
/** Signed requests may wait for a permit, so an identity is renewed well before it expires. */
const RENEW_BEFORE_END_MS = 300_000;
/** With less time left, a request may arrive too late. */
const MIN_REMAINING_MS = 5_000;

interface HeldIdentity {
  readonly identity: Identity;
  readonly endsAt: number;
  renewAt: number;
}

/**
 * States: none → logging in (shared by all callers) → held → renewed five minutes before expiry → expired. If a renewal
 * fails, the old identity is used until it expires. There is no timer: the first caller that needs a renewal starts it.
 */
export function createLease(logIn: () => Promise<Identity>, clock: Clock): Lease {
  let held: HeldIdentity | undefined;
  let running: Promise<Identity> | undefined;
  /** Backoff after refused logins. */
  const loginBackoff = createLoginBackoff(clock);
  /** Backoff after a login succeeded but AWS refused the identity. */
  const identityBackoff = createLoginBackoff(clock);
  let rejected: Identity | undefined;
  let replacedAt = Number.NEGATIVE_INFINITY;
  // Compares the distance, so that a clock that was set back cannot block logins for hours.
  const isWithin = (at: number, ms: number) => Math.abs(clock.now() - at) < ms;

  const open = async (): Promise<Identity> => {
    try {
      const identity = await logIn();
      held = toHeldIdentity(identity, clock.now());
      loginBackoff.clear();
      if (rejected !== undefined && !isSame(identity, rejected)) {
        rejected = undefined;
        identityBackoff.clear();
      }
      return identity;
    } catch (error) {
      if (error instanceof AppError && !isTransient(error.code)) loginBackoff.record(error);
      throw error;
    }
  };
  const renew = (signal: AbortSignal | undefined): Promise<Identity> => {
    loginBackoff.check();
    // The login is shared by all callers, so the signal of one caller does not abort it.
    running ??= open().finally(() => {
      running = undefined;
    });
    return unlessAborted(running, signal);
  };

  const reject = (identity: Identity, why: AppError): undefined => {
    rejected = identity;
    identityBackoff.record(why);
  };

  return {
    async current(signal) {
      signal?.throwIfAborted();
      if (rejected !== undefined) identityBackoff.check();
      const now = clock.now();
      if (held !== undefined && now < held.renewAt) return held.identity;
      if (held === undefined || now >= held.endsAt - MIN_REMAINING_MS) return renew(signal);
      const old = held;
      try {
        return await renew(signal);
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        old.renewAt = clock.now() + RENEW_RETRY_MS;
        return old.identity;
      }
    },
    async replace(refused, why, signal) {
      signal?.throwIfAborted();
      if (held !== undefined && held.identity !== refused) return held.identity;
      if (running === undefined) {
        if (isWithin(replacedAt, MIN_REPLACE_INTERVAL_MS)) return reject(refused, why);
        replacedAt = clock.now();
      }
      const identity = await renew(signal);
      return isSame(identity, refused) ? reject(identity, why) : identity;
    },
  };
}

/**
 * Uses credentials that are already expired by our clock for a while. Another login would give the same credentials.
 */
function toHeldIdentity(identity: Identity, now: number): HeldIdentity {
  const expiresAt = validDate(identity.expiration)?.getTime() ?? Number.POSITIVE_INFINITY;
  const endsAt = Math.max(expiresAt, now + MIN_REPLACE_INTERVAL_MS);
  return { identity, endsAt, renewAt: endsAt - Math.min(RENEW_BEFORE_END_MS, Math.max(0, endsAt - now) / 3) };
}

function isSame(a: Identity, b: Identity): boolean {
  return (
    a.accessKeyId === b.accessKeyId &&
    a.secretAccessKey === b.secretAccessKey &&
    a.sessionToken === b.sessionToken
  );
}
