import { unlessAborted } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { AppError, isTransient } from '../../core/errors.ts';
import { createLoginBackoff, type LoginBackoff } from '../login-backoff.ts';
import { validDate } from '../results.ts';

/**
 * The credentials that sign requests, in the form that the SDK uses. They contain secrets as plain text, so only the
 * AWS folders use them.
 */
export interface Identity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  /** Undefined if the credentials do not expire. */
  readonly expiration?: Date | undefined;
}

/**
 * The minimum time between two replacements of a refused identity. Without it, each refused read could start another
 * login.
 */
const MIN_REPLACE_INTERVAL_MS = 10_000;
/** The wait after a failed renewal. During this wait, the old identity is used. */
const RENEW_RETRY_MS = 30_000;
/** An identity is renewed this long before it expires, because a signed request may still wait for a permit. */
const RENEW_BEFORE_END_MS = 300_000;
/** An identity with less remaining time than this is not used, because a request could arrive after the expiry. */
const MIN_REMAINING_MS = 5_000;

interface HeldIdentity {
  readonly identity: Identity;
  readonly endsAt: number;
  renewAt: number;
}

/**
 * Logs in and renews the credentials of one login method.
 * States: none → logging in (shared by all callers) → held → renewed five minutes before expiry → expired. If a renewal
 * fails, the old identity is used until it expires. There is no timer: the first caller after the time of renewal
 * starts the renewal.
 */
export class Lease {
  readonly #logIn: () => Promise<Identity>;
  readonly #clock: Clock;
  /** Delays the next login after logins that AWS refused. */
  readonly #loginBackoff: LoginBackoff;
  /** Delays the next login after a login that succeeded, but whose identity AWS then refused. */
  readonly #identityBackoff: LoginBackoff;
  #held: HeldIdentity | undefined;
  #running: Promise<Identity> | undefined;
  #rejected: Identity | undefined;
  #replacedAt = Number.NEGATIVE_INFINITY;

  constructor(logIn: () => Promise<Identity>, clock: Clock) {
    this.#logIn = logIn;
    this.#clock = clock;
    this.#loginBackoff = createLoginBackoff(clock);
    this.#identityBackoff = createLoginBackoff(clock);
  }

  /** Returns the current identity, which all callers share. Renews it before it expires. @throws AppError */
  async current(signal?: AbortSignal): Promise<Identity> {
    signal?.throwIfAborted();
    if (this.#rejected !== undefined) this.#identityBackoff.check();
    const now = this.#clock.now();
    const held = this.#held;
    if (held !== undefined && now < held.renewAt) return held.identity;
    if (held === undefined || now >= held.endsAt - MIN_REMAINING_MS) return this.#renew(signal);
    try {
      return await this.#renew(signal);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      held.renewAt = this.#clock.now() + RENEW_RETRY_MS;
      return held.identity;
    }
  }

  /**
   * Returns another identity after AWS refused this one. Returns undefined if no other identity is available yet. In
   * this case, calls fail for a while, and no request is sent with the refused identity.
   * @param why The error that AWS returned.
   * @throws AppError if the login failed.
   */
  async replace(refused: Identity, why: AppError, signal?: AbortSignal): Promise<Identity | undefined> {
    signal?.throwIfAborted();
    if (this.#held !== undefined && this.#held.identity !== refused) return this.#held.identity;
    if (this.#running === undefined) {
      // Compare the absolute difference. Otherwise a clock that was set back could block logins for hours.
      if (Math.abs(this.#clock.now() - this.#replacedAt) < MIN_REPLACE_INTERVAL_MS)
        return this.#reject(refused, why);
      this.#replacedAt = this.#clock.now();
    }
    const identity = await this.#renew(signal);
    return isSame(identity, refused) ? this.#reject(identity, why) : identity;
  }

  #renew(signal: AbortSignal | undefined): Promise<Identity> {
    this.#loginBackoff.check();
    // All callers share the login, so an abort of one caller must not end it.
    this.#running ??= this.#open().finally(() => {
      this.#running = undefined;
    });
    return unlessAborted(this.#running, signal);
  }

  async #open(): Promise<Identity> {
    try {
      const identity = await this.#logIn();
      this.#held = toHeldIdentity(identity, this.#clock.now());
      this.#loginBackoff.clear();
      if (this.#rejected !== undefined && !isSame(identity, this.#rejected)) {
        this.#rejected = undefined;
        this.#identityBackoff.clear();
      }
      return identity;
    } catch (error) {
      if (error instanceof AppError && !isTransient(error.code)) this.#loginBackoff.record(error);
      throw error;
    }
  }

  #reject(identity: Identity, why: AppError): undefined {
    this.#rejected = identity;
    this.#identityBackoff.record(why);
  }
}

/**
 * If credentials have already expired by our clock, they are used for ten seconds. A new login would return the same
 * credentials, so every read would log in.
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
