import { unlessAborted } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { AppError, isTransient } from '../../core/errors.ts';
import { createLoginBackoff } from '../login-backoff.ts';
import { validDate } from '../results.ts';

/**
 * The credentials that sign requests, in the form that the SDK uses. They contain secrets as plain text, so they are
 * only used in this folder.
 */
export interface Identity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  /** Undefined if the credentials do not expire. */
  readonly expiration?: Date | undefined;
}

export interface Lease {
  /** Returns the current identity, which all callers share. Renews it before it expires. @throws AppError */
  current(signal?: AbortSignal): Promise<Identity>;
  /**
   * Gets another identity after AWS refused this one. Returns undefined if no other identity is available yet. The
   * refused identity is then not used for a while.
   * @param why The error that AWS returned.
   * @throws AppError if the login failed.
   */
  replace(refused: Identity, why: AppError, signal?: AbortSignal): Promise<Identity | undefined>;
}

/** The minimum time between two replacements. Otherwise each read could replace the identity. */
const MIN_REPLACE_INTERVAL_MS = 10_000;
/** The wait after a failed early renewal. The old identity stays in use meanwhile. */
const RENEW_RETRY_MS = 30_000;
/** A signed request may wait for a permit, so an identity is renewed well before it expires. */
const RENEW_BEFORE_END_MS = 300_000;
/** With less remaining time, a request could arrive after the expiry. */
const MIN_REMAINING_MS = 5_000;

interface HeldIdentity {
  readonly identity: Identity;
  readonly endsAt: number;
  renewAt: number;
}

/**
 * States: none → logging in (shared by all callers) → held → renewed five minutes before expiry → expired. If a renewal
 * fails, the old identity is used until it expires. There is no timer: the first caller that finds the renewal due
 * starts it.
 */
export function createLease(logIn: () => Promise<Identity>, clock: Clock): Lease {
  let held: HeldIdentity | undefined;
  let running: Promise<Identity> | undefined;
  /** The backoff after refused logins. */
  const loginBackoff = createLoginBackoff(clock);
  /** The backoff after a successful login whose identity AWS refused. */
  const identityBackoff = createLoginBackoff(clock);
  let rejected: Identity | undefined;
  let replacedAt = Number.NEGATIVE_INFINITY;
  // Compares the absolute difference. Otherwise a clock that was set back could block logins for hours.
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
    // All callers share the login, so it ignores the signal of a single caller.
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
 * Credentials that are already expired by our clock are still used for a while, because another login would return the
 * same credentials.
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
